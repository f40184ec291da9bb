-- Keeps: never an order outside the policy
-- Removes: the mode from what a day counts
-- Caught by: tests/database/test_claim.py::test_trades_of_the_other_mode_count_for_nothing

select pg_temp.substitute('interlock.counted_today', 'where execution.mode = p_mode', 'where true');
