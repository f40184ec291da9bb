-- Keeps: never one owner in another's way
-- Removes: the exchange's word that it does not have a market from what holds live trading back
-- Caught by: tests/cleanup/test_watched_markets.py::test_a_market_that_the_exchange_no_longer_has_stops_nobody_unless_it_was_traded

select pg_temp.substitute(
    'interlock.holds_back',
    ' and p_mark.unread is distinct from ''REFUSED''',
    ''
);
