-- Keeps: never a fact lost
-- Removes: the event that is there already from what another one that nothing is compared waits for
-- Caught by: tests/database/test_comparison.py::test_that_nothing_is_compared_is_in_the_audit_once
-- Caught by: tests/database/test_comparison.py::test_overlapping_runs_write_once_that_nothing_is_compared

select pg_temp.substitute('public.alarm_overdue_executions', 'event.event = ''COMPARISON_STALE''', 'false');
