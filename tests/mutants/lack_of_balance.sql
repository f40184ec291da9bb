-- Keeps: never an order after a halt
-- Removes: code 216, a balance too small, from the refusals that halt nobody
-- Caught by: tests/cleanup/test_many_runs.py::test_orders_that_the_balance_does_not_cover_halt_nobody

select pg_temp.substitute('interlock.failing_reason', 'is distinct from ''216''', 'is not null');
