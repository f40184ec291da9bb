-- Keeps: never an order outside the policy
-- Removes: the exchange's clock from how far a mark moves
-- Caught by: tests/database/test_comparison.py::test_a_mark_moves_no_further_than_the_exchange_was_read

select pg_temp.substitute(
    'public.compare_orders',
    'least(p_read_started_at, to_timestamp(p_read_to_ms / 1000.0))',
    'p_read_started_at'
);
