-- Keeps: never an order outside the policy
-- Removes: the claim's time from the trades that limits count
-- Caught by: tests/database/test_transitions.py::test_a_trade_counts_from_its_claim_and_never_from_the_future

select pg_temp.substitute(
    'interlock.history_counts_from_its_claim',
    'select execution.claimed_at, execution.mode into new.counted_at, new.mode',
    'select new.counted_at, execution.mode into new.counted_at, new.mode'
);
