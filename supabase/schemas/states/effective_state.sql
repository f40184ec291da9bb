create function interlock.effective_state(p_owner_state text) returns text
language sql stable set search_path = ''
as $$
    select case
        when interlock.strictness(p_owner_state) > interlock.strictness(controls.trading_state) then p_owner_state
        else controls.trading_state
    end
    from public.trading_controls as controls
    where controls.singleton
$$;
comment on function interlock.effective_state(text) is
    'The stricter of an owner''s state and the global one.';
