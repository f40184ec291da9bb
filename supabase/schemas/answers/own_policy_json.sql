create function interlock.own_policy_json(p_policy public.trading_policies) returns jsonb
language sql stable set search_path = ''
as $$ select interlock.row_json(to_jsonb(p_policy)) $$;
comment on function interlock.own_policy_json(public.trading_policies) is 'A policy row as RPCs answer it.';
