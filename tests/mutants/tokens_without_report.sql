-- Keeps: never more model calls than the budget
-- Removes: the tokens of a call that reports none
-- Caught by: tests/database/test_budget.py::test_a_call_without_a_report_counts_the_most_it_may_use

select pg_temp.substitute(
    'interlock.settle_call',
    'greatest(v_call.most_tokens, coalesce(p_prompt_tokens, 0) + coalesce(p_completion_tokens, 0))',
    'coalesce(p_prompt_tokens, 0) + coalesce(p_completion_tokens, 0)'
);
