-- Keeps: never two at one job
-- Removes: the one run of several that reads a market
-- Caught by: tests/cleanup/test_killed_runs.py::test_a_market_that_a_killed_run_was_reading_is_read_by_the_next

select pg_temp.substitute(
    'interlock.may_be_asked',
    'p_mark.asked_at not between',
    'true or p_mark.asked_at not between'
);
