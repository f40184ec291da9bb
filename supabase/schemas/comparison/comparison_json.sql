create function interlock.comparison_json(p_controls public.trading_controls, p_now timestamptz) returns jsonb
language sql stable set search_path = ''
as $$
    select jsonb_build_object(
        'reconciled_at', p_controls.reconciled_at,
        'age_seconds', floor(extract(epoch from p_now - p_controls.reconciled_at))::bigint::text,
        'stale', comparison.stale,
        'unread_markets', (
            select coalesce(jsonb_agg(mark.market order by mark.read_to, mark.market), '[]')
            from interlock.market_marks as mark
            where comparison.stale
                and interlock.comparison_is_stale(mark.read_to, p_now)
                -- Before the first comparison every market is missing; after it, one that was never read holds nothing back.
                and (interlock.holds_back(mark) or p_controls.reconciled_at is null)
        ),
        'warnings', (
            select coalesce(
                jsonb_agg(jsonb_build_object(
                    'code', 'OPERATOR_IDS_NOT_SHOWN',
                    'markets', hidden.markets,
                    'sentence', 'The exchange shows no operatorId on orders: one that Interlock did not send would not be noticed. If nothing else trades on the account, set account_is_dedicated.'
                )),
                '[]'
            )
            from (
                select array_agg(hiding.market order by hiding.market) as markets
                from interlock.markets_without_operator_ids() as hiding (market)
                where not p_controls.account_is_dedicated and p_controls.mode = 'live'
            ) as hidden
            where hidden.markets is not null
        )
    )
    from (
        select p_controls.mode = 'live' and interlock.comparison_is_stale(p_controls.reconciled_at, p_now) as stale
    ) as comparison
$$;
comment on function interlock.comparison_json(public.trading_controls, timestamptz) is
    'How old the comparison of orders with approvals is, whether that stops live trading, and then the '
    'markets that were not read for so long, the oldest first; and what it cannot see.';
