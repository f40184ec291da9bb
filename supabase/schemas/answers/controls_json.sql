-- Operator

create function interlock.controls_json() returns jsonb
language sql stable set search_path = ''
as $$
    select interlock.row_json(to_jsonb(controls)) - 'singleton' from public.trading_controls as controls where controls.singleton
$$;
comment on function interlock.controls_json() is 'The controls as RPCs answer them.';
