-- Keeps: never a fact lost
-- Removes: the completeness of the read that moves a mark
-- Caught by: tests/database/test_comparison.py::test_a_mark_moves_only_over_what_was_completely_read

select pg_temp.substitute(
    'public.compare_orders', 'if p_read_from_ms <= floor(extract(epoch from v_mark.read_to) * 1000) then', 'if true then'
);
