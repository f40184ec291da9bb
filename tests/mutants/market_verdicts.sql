-- Keeps: never an order outside the policy
-- Removes: the market's verdicts from what a claim needs
-- Caught by: tests/database/test_claim.py::test_a_claim_needs_every_market_verdict_once_and_passed

create function interlock.believed(jsonb, text, text, timestamptz, bigint, integer) returns jsonb
language sql
as $$ select '[]'::jsonb $$;
select pg_temp.substitute('public.claim_execution', 'interlock.merge_market_checks(', 'interlock.believed(');
