-- Keeps: never a fact lost
-- Removes: the append-only rule of the audit
-- Caught by: tests/database/test_audit.py::test_the_audit_is_append_only_for_everybody

drop trigger rows_are_never_changed on public.audit_events;
