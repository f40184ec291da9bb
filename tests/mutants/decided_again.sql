-- Keeps: never an order outside the policy
-- Removes: the claim's own decision: it believes the function
-- Caught by: tests/database/test_claim.py::test_everything_is_decided_again_in_the_claim
-- Caught by: tests/database/test_halts.py::test_the_stricter_of_both_states_holds

create function interlock.believed(
    public.trade_proposals, text, bigint, text, text, boolean, boolean, numeric, timestamptz
) returns jsonb
language sql
as $$ select '[]'::jsonb $$;
select pg_temp.substitute('public.claim_execution', 'interlock.decide_checks(', 'interlock.believed(');
