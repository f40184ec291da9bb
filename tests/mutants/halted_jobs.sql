-- Keeps: never two at one job
-- Removes: the halt from the lease of jobs
-- Caught by: tests/database/test_leases.py::test_no_job_of_a_halted_owner_is_leased_however_many_there_are

select pg_temp.substitute(
    'public.claim_due_scan_jobs', 'and ''HALTED'' not in (v_state, policy.trading_state)', ''
);
