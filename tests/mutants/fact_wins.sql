-- Keeps: never a fact lost
-- Removes: the victory of a fact over a conclusion
-- Caught by: tests/database/test_transitions.py::test_a_fact_wins_over_a_conclusion

select pg_temp.substitute('interlock.apply_outcome', 'v_contradicted := v_conclusion and', 'v_contradicted := false and');
