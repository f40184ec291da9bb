-- Keeps: never an order outside the policy
-- Removes: the halt that an order without approval causes
-- Caught by: tests/database/test_comparison.py::test_an_order_without_approval_halts_once_and_its_fills_are_kept
-- Caught by: tests/cleanup/test_facts.py::test_a_restored_database_never_makes_a_second_order

select pg_temp.substitute(
    'public.compare_orders',
    'perform interlock.halt(format(''order %s in %s has no approval'', v_order ->> ''orderId'', p_market));',
    ''
);
