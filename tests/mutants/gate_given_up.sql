-- Keeps: never a fact lost
-- Removes: the end of waiting for the gate: a fact and a claim that wait for each other
-- Caught by: tests/database/test_transitions.py::test_what_halts_gives_the_gate_up_where_it_would_wait_for_ever

select pg_temp.substitute('public.record_execution_result', 'if v_gate <> ''asked for'' then', 'if true then');
