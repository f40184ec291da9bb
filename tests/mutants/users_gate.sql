-- Keeps: never an order after a halt
-- Removes: the user's halt gate from the claim
-- Caught by: tests/database/test_halts.py::test_a_halt_waits_for_an_open_claim_and_holds_for_the_next[set_trading_state]
-- Caught by: tests/database/test_boundaries.py::test_a_claim_that_waits_for_the_owners_own_change_is_decided_by_it

select pg_temp.substitute(
    'public.claim_execution',
    'perform pg_advisory_xact_lock_shared(interlock.lock_class(''user gate''), hashtext(p_user_id::text));',
    ''
);
