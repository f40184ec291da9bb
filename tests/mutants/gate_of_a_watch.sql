-- Keeps: never an order outside the policy
-- Removes: the gate that keeps claims out while a watch ends
-- Caught by: tests/database/test_comparison.py::test_no_claim_comes_between_the_check_and_the_end_of_a_watch

select pg_temp.substitute(
    'public.stop_watching',
    'perform pg_advisory_xact_lock(interlock.lock_class(''global gate''), 0);',
    ''
);
