create function public.set_trading_policy(p_policy jsonb) returns jsonb
language plpgsql volatile security definer set search_path = '' set timezone = 'UTC'
as $$
declare
    v_user_id uuid := interlock.signed_in_owner();
    v_policy jsonb := interlock.complete_policy(p_policy);
    v_error text := interlock.policy_error(v_policy);
    v_row public.trading_policies;
begin
    if v_error is not null then
        raise sqlstate 'PT400' using message = 'POLICY_INVALID', detail = v_error;
    end if;
    perform pg_advisory_xact_lock(interlock.lock_class('user gate'), hashtext(v_user_id::text));
    insert into public.trading_policies as policy (user_id, policy)
    values (v_user_id, v_policy)
    on conflict (user_id) do update set policy = excluded.policy
    where policy.policy is distinct from excluded.policy;
    select * into v_row from public.trading_policies as policy where policy.user_id = v_user_id;
    return interlock.own_policy_json(v_row) || jsonb_build_object('warnings', interlock.policy_warnings(v_row.policy));
end
$$;
comment on function public.set_trading_policy(jsonb) is
    'An owner sets their own policy; missing fields take their defaults, a wrong one is named, and '
    'warnings tell of markets that may be misspelled. Definer: owners write no table themselves. A claim '
    'never straddles the change.';
