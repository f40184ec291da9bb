-- Keeps: never an order after a halt
-- Removes: the new count that a loosening begins
-- Caught by: tests/database/test_halts.py::test_who_loosens_while_a_halt_waits_is_not_halted_for_what_was_before

select pg_temp.substitute('public.halt_failing_owners', 'and loosened_at = v_owner.loosened_at', '');
