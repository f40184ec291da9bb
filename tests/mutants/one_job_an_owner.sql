-- Keeps: never two at one job
-- Removes: the lock under which an owner's one job is looked for and made
-- Caught by: tests/database/test_leases.py::test_two_calls_that_switch_a_scan_make_one_job

select pg_temp.substitute(
    'public.schedule_scan',
    'perform pg_advisory_xact_lock(interlock.lock_class(''user budget''), hashtext(v_user_id::text));',
    ''
);
