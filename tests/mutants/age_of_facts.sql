-- Keeps: never a second order
-- Removes: the database's own look at the access timestamp
-- Caught by: tests/database/test_claim.py::test_the_access_timestamp_is_judged_by_the_databases_clock

select pg_temp.substitute(
    'interlock.merge_market_checks',
    'and v_name = ''window'' and p_access_timestamp < v_now_ms - p_access_window_ms / 2.0',
    'and false'
);
