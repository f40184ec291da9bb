-- Keeps: never one owner in another's way
-- Removes: the end of a mark that no policy names any more and that was never traded or read
-- Caught by: tests/database/test_comparison.py::test_what_no_policy_names_is_watched_on_only_if_it_was_traded_or_read
-- Caught by: tests/cleanup/test_watched_markets.py::test_markets_that_do_not_exist_stop_nobody_and_go_with_their_policy

select pg_temp.substitute(
    'public.begin_cleanup',
    'where not gone.traded',
    'where false'
);
