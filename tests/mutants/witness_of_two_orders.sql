-- Keeps: never a fact lost
-- Removes: executions with a second order from those that are no witness
-- Caught by: tests/database/test_comparison.py::test_an_execution_with_a_second_order_is_no_witness

select pg_temp.substitute(
    'public.begin_cleanup',
    'event.event = ''SECOND_ORDER''',
    'false'
);
