-- Keeps: never a fact lost
-- Removes: the late answer of a call that was given up
-- Caught by: tests/database/test_budget.py::test_a_late_answer_keeps_its_tokens

select pg_temp.substitute(
    'interlock.settle_call',
    'if not (v_call.status = ''RESERVED'' or (v_call.status = ''ABANDONED'' and p_status in (''SUCCEEDED'', ''FAILED''))) then',
    'if v_call.status <> ''RESERVED'' then'
);
