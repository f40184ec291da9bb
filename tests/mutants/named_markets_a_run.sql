-- Keeps: never one owner in another's way
-- Removes: the bound on markets that merely owners name and that a run asks for
-- Caught by: tests/cleanup/test_watched_markets.py::test_what_holds_trading_back_is_read_first

select pg_temp.substitute(
    'public.begin_cleanup',
    'limit c_named_a_run',
    'limit 1000'
);
