-- Keeps: never an order after a halt
-- Removes: the times of a repeated refusal but the last from what halts an owner by itself
-- Caught by: tests/database/test_halts.py::test_five_clocks_that_are_off_halt_their_owner_also_in_approvals_of_one_proposal

select pg_temp.substitute('interlock.keep_refusal', '[:c_recent]', '[:1]');
