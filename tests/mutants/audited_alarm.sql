-- Keeps: never a fact lost
-- Removes: the audit event of an execution that stays unsettled
-- Caught by: tests/cleanup/test_audited.py::test_each_item_is_an_audit_event_and_a_log_line

select pg_temp.substitute(
    'public.alarm_overdue_executions',
    'perform interlock.write_audit(''EXECUTION_OVERDUE'', v_told.user_id, v_told.proposal_id, v_told.id, v_facts);', ''
);
