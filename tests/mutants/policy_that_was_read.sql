-- Keeps: never an order outside the policy
-- Removes: the refusal of a claim that does not say which policy was read
-- Caught by: tests/database/test_claim.py::test_a_claim_says_which_policy_was_read

select pg_temp.substitute(
    'public.claim_execution',
    'coalesce(p_policy_hash, '''')',
    'p_policy_hash'
);
