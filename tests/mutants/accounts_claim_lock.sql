-- Keeps: never an order outside the policy
-- Removes: the account's claim lock
-- Caught by: tests/database/test_claim.py::test_concurrent_claims_of_many_owners_never_exceed_the_ceiling
-- Caught by: tests/database/test_boundaries.py::test_a_claim_that_waits_over_expiry_is_refused

select pg_temp.substitute(
    'public.claim_execution',
    'perform pg_advisory_xact_lock(interlock.lock_class(''account claims''), 0);',
    ''
);
