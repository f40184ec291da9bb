-- Keeps: never an order outside the policy
-- Removes: the currency of a fee from what is new about a record
-- Caught by: tests/database/test_transitions.py::test_a_dear_fee_halts_once_its_currency_is_told

select pg_temp.substitute('interlock.apply_outcome', 'v_old.fee, v_old.fee_currency)', 'v_old.fee, v_new.fee_currency)');
