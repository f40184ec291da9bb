-- Keeps: never an order outside the policy
-- Removes: the value of a fee that is paid in the asset
-- Caught by: tests/database/test_transitions.py::test_a_fee_in_the_asset_is_valued_at_the_price_of_the_fills

select pg_temp.substitute('interlock.fee_in_eur', 'p_fee * p_amount_quote / p_amount', '0');
