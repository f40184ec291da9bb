-- Keeps: never an order after a halt
-- Removes: the index of one owner's failures: automatic halts read past everybody's
-- Caught by: tests/database/test_growth.py::test_a_cleanup_costs_no_more_after_many_refusals

drop index public.failures_by_owner;
