create function interlock.last_trades(
    p_user_id uuid, p_asset text, p_mode text, p_since timestamptz, p_opposite_to text default null
) returns timestamptz
language sql stable set search_path = ''
as $$
    select greatest(
        (
            select max(history.counted_at)
            from public.trade_history as history
            where history.user_id = p_user_id
                and history.asset = p_asset
                and history.counted_at > p_since
                and (history.mode is null or history.mode = p_mode)
                and (p_opposite_to is null or history.side <> p_opposite_to)
        ),
        (
            select max(execution.claimed_at)
            from public.trade_executions as execution
            where execution.user_id = p_user_id
                and execution.asset = p_asset
                and execution.claimed_at > p_since
                and execution.mode = p_mode
                and execution.status in ('CLAIMED', 'UNKNOWN', 'OPEN', 'PARTIALLY_FILLED', 'DRY_RUN')
                and (p_opposite_to is null or execution.side <> p_opposite_to)
        )
    )
$$;
comment on function interlock.last_trades(uuid, text, text, timestamptz, text) is
    'When an owner last traded an asset after p_since (on the side opposite to p_opposite_to, if given), '
    'from history and from executions that are unsettled or dry runs.';
