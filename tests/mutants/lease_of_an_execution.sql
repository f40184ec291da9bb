-- Keeps: never two at one job
-- Removes: the lease of an execution that a run of cleanup looks up
-- Caught by: tests/cleanup/test_killed_runs.py::test_what_a_killed_run_leased_is_left_alone_until_its_lease_ends
-- Caught by: tests/cleanup/test_killed_runs.py::test_a_run_that_overlaps_a_slow_one_takes_what_is_left

select pg_temp.substitute('public.begin_cleanup', 'set next_check_at = v_now + c_lease,', 'set next_check_at = v_now,');
