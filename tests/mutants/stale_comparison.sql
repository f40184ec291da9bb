-- Keeps: never an order outside the policy
-- Removes: the age of the last comparison from what a live order needs
-- Caught by: tests/cleanup/test_many_runs.py::test_a_dead_cleanup_stops_new_trades_within_15_minutes

select pg_temp.substitute(
    'interlock.comparison_is_stale', 'coalesce(p_reconciled_at < p_now - interval ''15 minutes'', true)', 'false'
);
