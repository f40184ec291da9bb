-- Keeps: never two at one job
-- Removes: the lease's token from what ends a scan
-- Caught by: tests/database/test_leases.py::test_whoever_lost_the_lease_writes_nothing_but_the_tokens_that_were_spent
-- Caught by: tests/database/test_leases.py::test_a_rescuer_is_fenced_too

select pg_temp.substitute(
    'public.finish_scan', 'v_job.lock_token is distinct from p_lock_token or', ''
);
