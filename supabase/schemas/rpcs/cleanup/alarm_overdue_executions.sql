create function public.alarm_overdue_executions() returns jsonb
language plpgsql volatile security definer set search_path = '' set timezone = 'UTC'
as $$
declare
    v_now timestamptz := interlock.clock();
    v_told public.trade_executions;
    v_facts jsonb;
    v_overdue jsonb := '[]';
    v_standing jsonb;
    v_comparison jsonb;
begin
    perform interlock.act_as('cleanup');
    for v_told in
        with told as (
            update public.trade_executions as execution
            set alarmed_at = v_now
            where execution.id in (
                select open.id
                from public.trade_executions as open
                where open.status in ('CLAIMED', 'UNKNOWN', 'OPEN', 'PARTIALLY_FILLED')
                    and open.mode = 'live'
                    and open.claimed_at < v_now - interval '10 minutes'
                    and coalesce(open.alarmed_at not between v_now - interval '6 hours' and v_now + interval '10 seconds', true)
                order by open.claimed_at
                limit 100
                for update skip locked
            )
            returning execution.*
        )
        select told.* from told order by told.claimed_at
    loop
        v_facts := jsonb_build_object(
            'market', v_told.market,
            'status', v_told.status,
            'minutes', floor(extract(epoch from v_now - v_told.claimed_at) / 60)::bigint::text
        );
        perform interlock.write_audit('EXECUTION_OVERDUE', v_told.user_id, v_told.proposal_id, v_told.id, v_facts);
        v_overdue := v_overdue || jsonb_build_array(v_facts || jsonb_build_object('execution_id', v_told.id));
    end loop;
    select jsonb_build_object(
        'unsettled', count(*)::text,
        'unknown', (count(*) filter (where open.status = 'UNKNOWN'))::text,
        'oldest_seconds', floor(extract(epoch from v_now - min(open.claimed_at)))::bigint::text
    )
    into v_standing
    from public.trade_executions as open
    where open.status in ('CLAIMED', 'UNKNOWN', 'OPEN', 'PARTIALLY_FILLED') and open.mode = 'live';

    select interlock.comparison_json(controls, v_now) into v_comparison
    from public.trading_controls as controls
    where controls.singleton;
    -- One of several runs writes it: once in 6 hours, and again when orders were compared since.
    if (v_comparison -> 'stale')::boolean
        and pg_try_advisory_xact_lock(interlock.lock_class('stale comparison'), 0)
        and not exists (
            select from public.audit_events as event
            where event.event = 'COMPARISON_STALE'
                and event.at > greatest((v_comparison ->> 'reconciled_at')::timestamptz, v_now - interval '6 hours')
        ) then
        perform interlock.write_audit('COMPARISON_STALE', null, null, null, v_comparison);
    end if;
    return v_standing || jsonb_build_object('overdue', v_overdue, 'comparison', v_comparison);
end
$$;
comment on function public.alarm_overdue_executions() is
    'Live executions whose fate is open for more than 10 minutes, each once in 6 hours and in the audit, '
    'whether or not the exchange can be asked: somebody has to be told. Beside them how many are '
    'unsettled or UNKNOWN, how old the oldest is, and how old the comparison; that it became too old for '
    'live trading is in the audit as well.';
