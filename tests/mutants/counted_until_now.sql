-- Keeps: never an order outside the policy
-- Removes: now as the latest time from which a trade counts
-- Caught by: tests/database/test_transitions.py::test_a_trade_counts_from_its_claim_and_never_from_the_future

select pg_temp.substitute(
    'interlock.history_counts_from_its_claim',
    'least(new.executed_at, interlock.clock())',
    'new.executed_at'
);
