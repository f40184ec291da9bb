-- Keeps: never two at one job
-- Removes: the end of the lease from what ends a scan
-- Caught by: tests/database/test_leases.py::test_an_answer_that_outlived_its_lease_proposes_nothing

select pg_temp.substitute('public.finish_scan', ' or v_job.lock_expires_at <= v_now', '');
