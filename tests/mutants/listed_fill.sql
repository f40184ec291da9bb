-- Keeps: never a fact lost
-- Removes: the trace of a fill from what counts as two silent rounds
-- Caught by: tests/database/test_transitions.py::test_a_listed_fill_begins_the_count_again

select pg_temp.substitute(
    'public.release_reconciliation',
    'delete from interlock.absence_rounds where execution_id = p_execution_id;',
    'null;'
);
