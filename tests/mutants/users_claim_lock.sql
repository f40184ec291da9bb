-- Keeps: never an order outside the policy
-- Removes: the user's claim lock
-- Caught by: tests/database/test_boundaries.py::test_a_claim_that_waits_over_expiry_is_refused

select pg_temp.substitute(
    'public.claim_execution',
    'perform pg_advisory_xact_lock(interlock.lock_class(''user claims''), hashtext(p_user_id::text));',
    ''
);
