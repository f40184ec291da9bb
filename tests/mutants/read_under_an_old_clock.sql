-- Keeps: never an order outside the policy
-- Removes: the clock that was set back from the markets that may be read
-- Caught by: tests/database/test_comparison.py::test_a_clock_that_was_set_back_keeps_no_market_unread

select pg_temp.substitute('interlock.may_be_asked', 'and p_now + interval ''10 seconds''', 'and ''infinity''::timestamptz');
