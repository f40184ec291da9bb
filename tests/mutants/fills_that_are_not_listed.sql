-- Keeps: never a fact lost
-- Removes: the list of fills from when a fee counts as final
-- Caught by: tests/database/test_transitions.py::test_a_fill_that_is_not_listed_is_not_settled

select pg_temp.substitute(
    'interlock.fills_are_settled',
    'and jsonb_array_length(p_order -> ''fills'') > 0',
    ''
);
