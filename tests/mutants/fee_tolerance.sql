-- Keeps: never an order outside the policy
-- Removes: the cent a fill that a fee may be dearer: it becomes two
-- Caught by: tests/database/test_transitions.py::test_a_fee_may_be_a_quarter_of_a_percent_and_a_cent_a_fill

select pg_temp.substitute('interlock.apply_outcome', ', 0) end * 0.01', ', 0) end * 0.02');
