-- Keeps: never a second order
-- Removes: the attempt from a repeated claim: everybody may send
-- Caught by: tests/database/test_claim.py::test_the_same_attempt_is_claimed_again_and_another_is_told_what_exists
-- Caught by: tests/database/test_claim.py::test_concurrent_claims_of_one_proposal_make_one_execution

select pg_temp.substitute('public.claim_execution', 'v_execution.attempt_id = p_attempt_id and', '');
