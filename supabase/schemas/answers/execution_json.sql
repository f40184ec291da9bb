create function interlock.execution_json(p_execution public.trade_executions) returns jsonb
language sql stable set search_path = ''
as $$
    select interlock.row_json(to_jsonb(p_execution)) - '{checked_by,check_attempts,next_check_at,alarmed_at}'::text[]
$$;
comment on function interlock.execution_json(public.trade_executions) is
    'An execution as RPCs answer it, numbers as text.';
