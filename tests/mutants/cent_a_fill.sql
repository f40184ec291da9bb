-- Keeps: never a fact lost
-- Removes: the fills from what a fee may be: one cent for all of an order
-- Caught by: tests/cleanup/test_facts.py::test_an_order_of_several_fills_halts_nobody

select pg_temp.substitute('interlock.apply_outcome', ' + v_rounding then', ' + 0.01 then');
