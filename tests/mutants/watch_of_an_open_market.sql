-- Keeps: never an order outside the policy
-- Removes: open executions from what keeps a market watched
-- Caught by: tests/database/test_comparison.py::test_a_market_in_which_an_execution_is_open_stays_watched

select pg_temp.substitute(
    'public.stop_watching',
    'and execution.mode = ''live''',
    'and false'
);
