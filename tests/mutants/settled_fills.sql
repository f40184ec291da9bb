-- Keeps: never a fact lost
-- Removes: the guard of fees that are final
-- Caught by: tests/database/test_transitions.py::test_evidence_of_trades_grows_and_is_never_taken_away

select pg_temp.substitute(
    'interlock.execution_moves_by_rule',
    'or (old.fills_settled and not new.fills_settled)',
    ''
);
