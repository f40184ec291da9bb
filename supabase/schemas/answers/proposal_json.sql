create function interlock.proposal_json(p_proposal public.trade_proposals) returns jsonb
language sql stable set search_path = ''
as $$
    select interlock.row_json(to_jsonb(p_proposal)) - '{legacy,policy_snapshot,market_snapshot}'::text[]
$$;
comment on function interlock.proposal_json(public.trade_proposals) is
    'A proposal as RPCs answer it, numbers as text.';
