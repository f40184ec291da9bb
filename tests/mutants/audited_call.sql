-- Keeps: never a fact lost
-- Removes: the audit event of a model call that was given up
-- Caught by: tests/cleanup/test_audited.py::test_each_item_is_an_audit_event_and_a_log_line

select pg_temp.substitute('public.cleanup_expired_locks', 'write_audit(''CALL_ABANDONED'',', 'write_audit(''LOCK_EXPIRED'',');
