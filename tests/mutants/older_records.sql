-- Keeps: never a fact lost
-- Removes: the age of a record
-- Caught by: tests/database/test_transitions.py::test_an_older_record_changes_nothing

select pg_temp.substitute('interlock.apply_outcome', 'if v_updated < v_old.exchange_updated then', 'if false then');
