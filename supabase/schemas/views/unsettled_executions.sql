create view public.unsettled_executions with (security_invoker = true) as
select
    execution.status,
    execution.market,
    execution.side,
    execution.order_value as order_value_eur,
    date_trunc('second', interlock.clock() - execution.claimed_at) as age,
    execution.error_code,
    execution.next_check_at,
    execution.check_attempts,
    execution.claimed_at,
    execution.id,
    execution.proposal_id,
    execution.user_id
from public.trade_executions as execution
where execution.status in ('CLAIMED', 'UNKNOWN', 'OPEN', 'PARTIALLY_FILLED');

comment on view public.unsettled_executions is
    'Executions whose fate is open, with their age. Cleanup settles them; one older than 24 hours needs a '
    'person (settle_by_hand).';
comment on column public.unsettled_executions.status is 'CLAIMED, UNKNOWN, OPEN or PARTIALLY_FILLED.';
comment on column public.unsettled_executions.market is 'Such as BTC-EUR.';
comment on column public.unsettled_executions.side is 'buy or sell.';
comment on column public.unsettled_executions.order_value_eur is
    'The most EUR that it may still have spent; limits count it.';
comment on column public.unsettled_executions.age is
    'Since then. Minutes are usual; above 24 hours it waits for settle_by_hand.';
comment on column public.unsettled_executions.error_code is
    'What the exchange said last, if it was an error.';
comment on column public.unsettled_executions.next_check_at is 'When cleanup looks at it next.';
comment on column public.unsettled_executions.check_attempts is
    'How often cleanup has looked since the status last changed.';
comment on column public.unsettled_executions.claimed_at is 'When it was claimed.';
comment on column public.unsettled_executions.id is
    'The execution; also the clientOrderId to look for at the exchange.';
comment on column public.unsettled_executions.proposal_id is 'The proposal.';
comment on column public.unsettled_executions.user_id is 'The owner who approved.';
