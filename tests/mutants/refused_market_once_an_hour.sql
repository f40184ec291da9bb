-- Keeps: never one owner in another's way
-- Removes: the hour after which a market that the exchange does not have is asked for again
-- Caught by: tests/cleanup/test_watched_markets.py::test_whatever_owners_write_anothers_trading_goes_on[17-1-1]

select pg_temp.substitute(
    'interlock.may_be_asked',
    'interval ''1 hour''',
    'interval ''40 seconds'''
);
