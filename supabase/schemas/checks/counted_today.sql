create function interlock.counted_today(
    p_user_id uuid, p_mode text, p_day timestamptz, p_assumed numeric,
    out trades bigint, out value numeric, out all_value numeric
)
language sql stable set search_path = ''
as $$
    with today as (
        select
            coalesce(spent.user_id, open.user_id) as user_id,
            greatest(spent.value, open.value) as value
        from (
            select
                history.user_id,
                coalesce(history.execution_id, history.id) as source_id,
                sum(coalesce(history.value_eur, p_assumed)) as value
            from public.trade_history as history
            where history.counted_at >= p_day and (history.mode is null or history.mode = p_mode)
            group by history.user_id, coalesce(history.execution_id, history.id)
        ) as spent
        full join (
            select execution.user_id, execution.id, execution.order_value as value
            from public.trade_executions as execution
            where execution.mode = p_mode
                and execution.claimed_at >= p_day
                and execution.status in ('CLAIMED', 'UNKNOWN', 'OPEN', 'PARTIALLY_FILLED', 'DRY_RUN')
        ) as open on open.id = spent.source_id
    )
    select
        count(*) filter (where today.user_id = p_user_id),
        coalesce(sum(today.value) filter (where today.user_id = p_user_id), 0),
        coalesce(sum(today.value), 0)
    from today
$$;
comment on function interlock.counted_today(uuid, text, timestamptz, numeric) is
    'An owner''s trades and order value since p_day, and everybody''s value. Each execution counts once, '
    'at the higher of what it spent and what it may still spend; a trade of unknown value counts as '
    'p_assumed.';
