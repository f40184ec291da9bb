-- Keeps: never an order outside the policy
-- Removes: the comparison of the bytes with the proposal
-- Caught by: tests/database/test_claim.py::test_bytes_that_are_not_this_proposals_order_are_refused

select pg_temp.substitute('public.claim_execution', 'if v_misfit is not null then', 'if false then');
