-- Keeps: never more model calls than the budget
-- Removes: the locks of the model budget
-- Caught by: tests/database/test_budget.py::test_a_reservation_waits_for_the_one_before_it_and_counts_it
-- Caught by: tests/database/test_budget.py::test_concurrent_callers_reserve_exactly_the_limit

select pg_temp.substitute(
    'public.reserve_gpt_call',
    'perform pg_advisory_xact_lock(interlock.lock_class(''user budget''), hashtext(v_job.user_id::text));',
    ''
);
select pg_temp.substitute(
    'public.reserve_gpt_call', 'perform pg_advisory_xact_lock(interlock.lock_class(''account budget''), 0);', ''
);
