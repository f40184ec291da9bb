create function public.check_gpt_budget(p_user_id uuid, p_daily integer, p_hourly integer) returns jsonb
language plpgsql volatile security definer set search_path = '' set timezone = 'UTC'
as $$
declare
    v_used record;
begin
    if p_user_id is null or p_daily is null or p_hourly is null or p_daily < 0 or p_hourly < 0 then
        raise sqlstate 'PT400' using
            message = 'INVALID_BUDGET', detail = 'A budget names a user, calls a day and calls an hour, each 0 or more.';
    end if;
    select * into v_used from interlock.calls_used(p_user_id, interlock.clock());
    return jsonb_build_object(
        'can_call', v_used.daily < p_daily and v_used.hourly < p_hourly,
        'reason', case
            when v_used.daily >= p_daily then 'DAILY_BUDGET_EXHAUSTED'
            when v_used.hourly >= p_hourly then 'HOURLY_BUDGET_EXHAUSTED'
        end,
        'daily_used', v_used.daily::text,
        'hourly_used', v_used.hourly::text
    );
end
$$;
comment on function public.check_gpt_budget(uuid, integer, integer) is
    'Would a model call fit into these limits now? An answer to look at; reserve_gpt_call decides.';
