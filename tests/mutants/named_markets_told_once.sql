-- Keeps: never one owner in another's way
-- Removes: the bound on what is told of markets that merely owners name
-- Caught by: tests/cleanup/test_watched_markets.py::test_what_is_not_read_is_named_and_told_once

select pg_temp.substitute(
    'public.report_unread_markets',
    'else v_named_told',
    'else false'
);
