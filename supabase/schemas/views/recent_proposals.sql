create view public.recent_proposals with (security_invoker = true) as
select
    case execution.status when 'DRY_RUN' then 'DRY_RUN' else proposal.status end as status,
    proposal.market,
    proposal.side,
    coalesce(proposal.amount_quote, round(proposal.amount * proposal.reference_price, 2)) as eur,
    proposal.reference_price,
    proposal.confidence,
    proposal.rationale,
    proposal.expires_at,
    execution.status as execution_status,
    proposal.limit_price,
    proposal.created_at,
    proposal.id as proposal_id,
    proposal.user_id
from public.trade_proposals as proposal
left join public.trade_executions as execution on execution.proposal_id = proposal.id
where proposal.created_at > interlock.clock() - interval '7 days'
order by proposal.created_at desc;

comment on view public.recent_proposals is
    'The proposals of the last 7 days, newest first: what was proposed and why, and what became of it. '
    'PENDING ones wait for their owner''s approval until they expire.';
comment on column public.recent_proposals.status is
    'PENDING, EXECUTING, EXECUTED, FAILED, EXPIRED or DECLINED; DRY_RUN where an order would have been.';
comment on column public.recent_proposals.market is 'Such as BTC-EUR.';
comment on column public.recent_proposals.side is 'buy or sell.';
comment on column public.recent_proposals.eur is
    'What it would spend, fee included, or for a sell its amount at the reference price, EUR.';
comment on column public.recent_proposals.reference_price is
    'The price, EUR, that the model saw. An approval is refused when the price has moved too far from it.';
comment on column public.recent_proposals.limit_price is
    'The price of a limit order, EUR. Empty: a market order.';
comment on column public.recent_proposals.confidence is 'The model''s, 0 to 100.';
comment on column public.recent_proposals.rationale is 'The model''s reason.';
comment on column public.recent_proposals.created_at is 'When it was proposed.';
comment on column public.recent_proposals.expires_at is 'Until when it may be approved.';
comment on column public.recent_proposals.execution_status is 'How its execution stands. Empty: it has none.';
comment on column public.recent_proposals.proposal_id is 'The proposal, as ./interlock approve takes it.';
comment on column public.recent_proposals.user_id is 'The owner whose approval it waits for.';
