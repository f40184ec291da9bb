-- Keeps: never an order outside the policy
-- Removes: what rounding may cost from what a buy may spend
-- Caught by: tests/database/test_claim.py::test_bytes_that_are_not_this_proposals_order_are_refused

select pg_temp.substitute('interlock.request_misfit', ' + interlock.rounding_room(p_proposal.amount_quote)', '');
