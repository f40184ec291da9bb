-- Keeps: never a fact lost
-- Removes: the audit event of a look-up that told nothing
-- Caught by: tests/cleanup/test_audited.py::test_each_item_is_an_audit_event_and_a_log_line

select pg_temp.substitute('public.release_reconciliation', 'perform interlock.write_audit(', 'perform concat(');
