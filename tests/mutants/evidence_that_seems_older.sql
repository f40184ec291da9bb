-- Keeps: never a fact lost
-- Removes: what a person saw of an order that seems older than its record
-- Caught by: tests/database/test_transitions.py::test_a_person_settles_by_an_order_that_seems_older_than_what_is_known

select pg_temp.substitute(
    'public.settle_by_hand',
    'p_evidence - ''updated''',
    'p_evidence'
);
