-- Keeps: never more model calls than the budget
-- Removes: the lock of the ceiling over all owners' model calls
-- Caught by: tests/database/test_budget.py::test_a_reservation_waits_for_the_one_before_it_and_counts_it[another owner]
-- Caught by: tests/database/test_budget.py::test_the_ceiling_over_all_owners_holds_at_once

select pg_temp.substitute(
    'public.reserve_gpt_call', 'perform pg_advisory_xact_lock(interlock.lock_class(''account budget''), 0);', ''
);
