-- Keeps: never a fact lost
-- Removes: the lock of the sealing runs
-- Caught by: tests/database/test_audit.py::test_a_sealing_run_waits_for_the_one_before_it
-- Caught by: tests/database/test_audit.py::test_many_writers_and_sealing_runs_keep_one_chain

select pg_temp.substitute(
    'public.seal_audit_events', 'perform pg_advisory_xact_lock(interlock.lock_class(''seal''), 0);', ''
);
