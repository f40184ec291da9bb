-- Keeps: never two at one job
-- Removes: the one run of several that reads a market
-- Caught by: tests/cleanup/test_killed_runs.py::test_a_market_that_a_killed_run_was_reading_is_read_by_the_next

select pg_temp.substitute(
    'public.begin_cleanup',
    'and coalesce(due.asked_at not between v_now - c_read_under_way and v_now + interval ''10 seconds'', true)',
    ''
);
