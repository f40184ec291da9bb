-- Keeps: never a fact lost
-- Removes: the known order from what refuses a conclusion
-- Caught by: tests/database/test_transitions.py::test_a_conclusion_never_replaces_a_fact

select pg_temp.substitute('interlock.apply_outcome', 'or v_old.exchange_order_id is not null', '');
