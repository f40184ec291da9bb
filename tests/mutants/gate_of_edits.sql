-- Keeps: never an order after a halt
-- Removes: the gate from edits in the dashboard
-- Caught by: tests/database/test_halts.py::test_a_halt_waits_for_an_open_claim_and_holds_for_the_next[controls edited]
-- Caught by: tests/database/test_halts.py::test_a_halt_waits_for_an_open_claim_and_holds_for_the_next[policy edited]

drop trigger a_change_holds_a_gate on public.trading_controls;
drop trigger a_change_holds_a_gate on public.trading_policies;
