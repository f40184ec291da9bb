-- Keeps: never an order after a halt
-- Removes: the reason that a halt without words is given
-- Caught by: tests/database/test_halts.py::test_no_halt_is_refused_for_its_words

select pg_temp.substitute(
    'public.halt_trading', 'coalesce(nullif(trim(left(p_reason, 500)), ''''), ''no reason was given'')', 'p_reason'
);
