-- Keeps: never a fact lost
-- Removes: what is told of a fee that nobody can value
-- Caught by: tests/database/test_transitions.py::test_a_fee_that_cannot_be_valued_is_told_and_counted_as_the_most

select pg_temp.substitute('interlock.apply_outcome', 'if v_fee_eur is null and (', 'if false and (');
