create view public.dry_run_results with (security_invoker = true) as
select
    execution.market,
    execution.side,
    execution.order_value as order_value_eur,
    case when priced.reached then
        round((latest.reference_price / priced.current - 1) * case execution.side when 'buy' then 100 else -100 end, 2)
    end as result_percent,
    priced.current as price_at_approval,
    latest.reference_price as last_scanned_price,
    execution.claimed_at,
    latest.created_at as last_scanned_at,
    execution.id as execution_id,
    execution.user_id
from public.trade_executions as execution
left join lateral (
    select
        fact.current,
        case execution.side when 'buy' then fact.current <= fact.sent else fact.current >= fact.sent end as reached
    from (
        select
            (verdict.value #>> '{facts,current_price}')::numeric as current,
            ((execution.request ->> 'body')::jsonb ->> 'price')::numeric as sent
        from jsonb_array_elements(execution.checks) as verdict
        where verdict.value ->> 'check' = 'price_moved'
        limit 1
    ) as fact
) as priced on true
left join lateral (
    select proposal.reference_price, proposal.created_at
    from public.trade_proposals as proposal
    where proposal.user_id = execution.user_id
        and proposal.market = execution.market
        and proposal.reference_price is not null
    order by proposal.created_at desc
    limit 1
) as latest on true
where execution.status = 'DRY_RUN';

comment on view public.dry_run_results is
    'What dry runs would have made so far, before fees: the price at approval against the last price that '
    'a scan stored. Above zero: the trade would have paid.';
comment on column public.dry_run_results.market is 'Such as BTC-EUR.';
comment on column public.dry_run_results.side is 'buy or sell.';
comment on column public.dry_run_results.order_value_eur is 'The most EUR that would have changed hands.';
comment on column public.dry_run_results.result_percent is
    'What the price has moved in favour of the trade, percent. Empty: a limit order whose price was not '
    'reached.';
comment on column public.dry_run_results.price_at_approval is
    'The best ask for a buy, the best bid for a sell, EUR, when it was approved.';
comment on column public.dry_run_results.last_scanned_price is
    'The price, EUR, that the last scan of this market stored.';
comment on column public.dry_run_results.claimed_at is 'When it was approved.';
comment on column public.dry_run_results.last_scanned_at is
    'When that scan stored it. Before claimed_at: nothing has been learned since.';
comment on column public.dry_run_results.execution_id is 'The dry run.';
comment on column public.dry_run_results.user_id is 'The owner who approved.';
