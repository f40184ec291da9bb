-- Keeps: never an order outside the policy
-- Removes: the clock's place after the locks
-- Caught by: tests/database/test_boundaries.py::test_a_claim_that_waits_over_expiry_is_refused
-- Caught by: tests/database/test_boundaries.py::test_a_claim_that_waits_over_midnight_counts_for_the_new_day

select pg_temp.substitute('public.claim_execution', 'v_now := interlock.clock();', '');
select pg_temp.substitute('public.claim_execution', 'v_now timestamptz;', 'v_now timestamptz := interlock.clock();');
