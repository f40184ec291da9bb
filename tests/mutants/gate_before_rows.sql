-- Keeps: never an order after a halt
-- Removes: the gate that a contradiction takes before its row
-- Caught by: tests/database/test_transitions.py::test_a_contradiction_waits_for_open_claims_before_it_locks_a_row

select pg_temp.substitute(
    'public.record_execution_result',
    'perform pg_advisory_xact_lock(interlock.lock_class(''global gate''), 0);',
    ''
);
