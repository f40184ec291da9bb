-- Keeps: never a second order
-- Removes: the attempt from a conclusion: everybody may conclude
-- Caught by: tests/database/test_transitions.py::test_only_the_process_that_claimed_concludes

select pg_temp.substitute(
    'public.record_execution_result',
    'p_attempt_id is distinct from v_execution.attempt_id then',
    'false then'
);
