-- Keeps: never an order outside the policy
-- Removes: the owner from the proposal that a claim reads
-- Caught by: tests/database/test_claim.py::test_a_proposal_is_claimed_by_its_owner_alone

select pg_temp.substitute(
    'public.claim_execution',
    'where proposal.id = p_proposal_id and proposal.user_id = p_user_id;',
    'where proposal.id = p_proposal_id;'
);
