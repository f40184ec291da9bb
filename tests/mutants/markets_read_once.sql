-- Keeps: never an order outside the policy
-- Removes: markets that were read once and never traded from those that hold live trading back
-- Caught by: tests/database/test_comparison.py::test_a_market_that_was_traded_or_read_once_holds_trading_back[read once]

select pg_temp.substitute('interlock.holds_back', 'p_mark.first_read_at is not null', 'false');
