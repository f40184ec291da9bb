-- Keeps: never one owner in another's way
-- Removes: the order in which markets are read: those that hold live trading back first
-- Caught by: tests/cleanup/test_watched_markets.py::test_what_holds_trading_back_is_read_first

select pg_temp.substitute(
    'public.begin_cleanup',
    'order by asked.holds_back desc, asked.read_to',
    'order by asked.read_to'
);
