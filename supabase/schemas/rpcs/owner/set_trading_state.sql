create function public.set_trading_state(
    p_state text, p_version bigint default null, p_reason text default null
) returns jsonb
language plpgsql volatile security definer set search_path = '' set timezone = 'UTC'
as $$
declare
    v_user_id uuid := interlock.signed_in_owner();
    -- Reasons stand side by side, parted by semicolons: one is not to look like two.
    v_words text := trim(left(replace(p_reason, ';', ','), 400));
    v_row public.trading_policies;
begin
    if p_state is null or p_state not in ('ACTIVE', 'REDUCE_ONLY', 'HALTED') then
        raise sqlstate 'PT400' using message = 'INVALID_STATE', detail = 'A trading state is ACTIVE, REDUCE_ONLY or HALTED.';
    end if;
    perform pg_advisory_xact_lock(interlock.lock_class('user gate'), hashtext(v_user_id::text));
    select * into v_row from public.trading_policies as policy where policy.user_id = v_user_id for update;
    if not found then
        raise sqlstate 'PT404' using message = 'NO_POLICY', detail = 'Set a trading policy first.';
    end if;
    if interlock.strictness(p_state) < interlock.strictness(v_row.trading_state) and p_version is distinct from v_row.version then
        raise sqlstate 'PT409' using
            message = 'STALE_VERSION',
            detail = format('Loosening needs the current version, %s: look at what changed first.', v_row.version);
    end if;
    update public.trading_policies
    set trading_state = p_state, state_reason = 'set by the owner' || coalesce(': ' || nullif(v_words, ''), '')
    where user_id = v_user_id and (trading_state <> p_state or p_state <> 'ACTIVE')
    returning * into v_row;
    if not found then
        select * into v_row from public.trading_policies as policy where policy.user_id = v_user_id;
    end if;
    return interlock.own_policy_json(v_row);
end
$$;
comment on function public.set_trading_state(text, bigint, text) is
    'An owner tightens or loosens their own trading, and may say why. Tightening ignores the version; '
    'loosening needs the current one. Definer: owners write no table themselves.';
