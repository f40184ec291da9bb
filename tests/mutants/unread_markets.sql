-- Keeps: never an order outside the policy
-- Removes: the age of a market's mark from the markets that stop live trading
-- Caught by: tests/database/test_comparison.py::test_the_market_that_is_not_read_is_named

select pg_temp.substitute('interlock.comparison_json', 'interlock.comparison_is_stale(mark.read_to, p_now)', 'true');
