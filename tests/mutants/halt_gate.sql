-- Keeps: never an order after a halt
-- Removes: the global halt gate from the claim
-- Caught by: tests/database/test_halts.py::test_no_claim_is_granted_once_a_halt_has_answered
-- Caught by: tests/database/test_halts.py::test_a_halt_waits_for_an_open_claim_and_holds_for_the_next[halt_trading]

select pg_temp.substitute(
    'public.claim_execution',
    'perform pg_advisory_xact_lock_shared(interlock.lock_class(''global gate''), 0);',
    ''
);
