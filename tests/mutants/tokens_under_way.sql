-- Keeps: never more model calls than the budget
-- Removes: the tokens of a call that is under way or was given up
-- Caught by: tests/database/test_budget.py::test_a_call_without_a_report_counts_the_most_it_may_use

select pg_temp.substitute(
    'interlock.calls_used',
    'case when call.status in (''RESERVED'', ''ABANDONED'') then call.most_tokens else call.tokens_used end',
    'call.tokens_used'
);
