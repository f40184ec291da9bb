create function interlock.blocked_markets(
    p_user_id uuid, p_controls public.trading_controls, p_policy jsonb, p_now timestamptz
) returns jsonb
language plpgsql stable set search_path = ''
as $$
declare
    v_least numeric := (p_policy #>> '{limits,order,min_eur}')::numeric;
    v_cooldown interval := make_interval(mins => (p_policy ->> 'cooldown_minutes')::integer);
    v_today record;
    v_everywhere text;
begin
    -- GUARD: an owner who may trade nothing costs nothing.
    if p_policy -> 'allowlist' = '[]' then
        return '{}';
    end if;
    select * into v_today
    from interlock.counted_today(
        p_user_id, p_controls.mode, date_trunc('day', p_now, 'UTC'), (p_policy #>> '{limits,order,max_eur}')::numeric
    );
    v_everywhere := case
        when v_today.trades >= (p_policy #>> '{limits,daily,trades}')::integer then 'DAILY_TRADES_EXHAUSTED'
        when v_today.value + v_least > (p_policy #>> '{limits,daily,value_eur}')::numeric then 'DAILY_VALUE_EXHAUSTED'
        when v_least > p_controls.max_order_eur or v_today.all_value + v_least > p_controls.max_daily_value_eur
            then 'ACCOUNT_LIMIT_EXHAUSTED'
    end;
    return coalesce(
        (
            select jsonb_object_agg(market.name, jsonb_build_object('code', found.code, 'until', found.until))
            from jsonb_array_elements_text(p_policy -> 'allowlist') as market (name)
            cross join lateral (
                select
                    case
                        when v_everywhere is not null then v_everywhere
                        when exists (
                            select
                            from public.trade_executions as execution
                            where execution.user_id = p_user_id
                                and execution.market = market.name
                                and execution.status in ('CLAIMED', 'UNKNOWN', 'OPEN', 'PARTIALLY_FILLED')
                        ) then 'UNSETTLED_EXECUTION'
                        when last.traded_at is not null then 'COOLDOWN_ACTIVE'
                    end as code,
                    last.traded_at + v_cooldown as until
                from interlock.last_trades(
                    p_user_id, split_part(market.name, '-', 1), p_controls.mode, p_now - v_cooldown
                ) as last (traded_at)
            ) as found
            where found.code is not null
        ),
        '{}'
    );
end
$$;
comment on function interlock.blocked_markets(uuid, public.trading_controls, jsonb, timestamptz) is
    'The allowlisted markets in which no order of an owner, however small, would pass the checks of an '
    'approval now: why, and until when a cooldown runs. Anti-flip and REDUCE_ONLY leave one side open and '
    'block no market.';
