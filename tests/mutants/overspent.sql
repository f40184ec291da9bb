-- Keeps: never an order outside the policy
-- Removes: the halt that a buy causes which spent more than was approved
-- Caught by: tests/database/test_transitions.py::test_a_buy_that_spends_more_than_was_approved_halts

select pg_temp.substitute('interlock.apply_outcome', 'v_old.side = ''buy'' and v_old.order_value', 'false and v_old.order_value');
