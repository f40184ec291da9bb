-- Keeps: never an order outside the policy
-- Removes: partly filled orders from what keeps a market waiting
-- Caught by: tests/database/test_claim.py::test_a_market_waits_until_its_execution_is_settled

select pg_temp.substitute(
    'interlock.decide_checks',
    'and execution.status in (''CLAIMED'', ''UNKNOWN'', ''OPEN'', ''PARTIALLY_FILLED'')',
    'and execution.status in (''CLAIMED'', ''UNKNOWN'', ''OPEN'')'
);
