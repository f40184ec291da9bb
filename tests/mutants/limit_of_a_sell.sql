-- Keeps: never an order outside the policy
-- Removes: the limit of a sell from what the bytes to be sent are compared with
-- Caught by: tests/database/test_claim.py::test_no_order_is_sent_beyond_the_limit_of_its_proposal

select pg_temp.substitute(
    'interlock.request_misfit',
    'p_proposal.order_type = ''limit'' and v_price < p_proposal.limit_price',
    'false'
);
