-- Keeps: never a fact lost
-- Removes: the state diagram
-- Caught by: tests/database/test_transitions.py::test_every_pair_of_states_is_allowed_by_the_diagram_or_refused
-- Caught by: tests/database/test_transitions.py::test_evidence_of_trades_grows_and_is_never_taken_away

drop trigger states_move_by_the_diagram on public.trade_executions;
