create view public.overrides_used with (security_invoker = true) as
select
    execution.market,
    execution.side,
    execution.override_cooldown,
    execution.override_anti_flip,
    execution.status,
    execution.claimed_at,
    execution.id as execution_id,
    execution.user_id
from public.trade_executions as execution
where execution.override_cooldown or execution.override_anti_flip;

comment on view public.overrides_used is
    'Approvals in which an owner overrode the cooldown or the anti-flip window.';
comment on column public.overrides_used.market is 'Such as BTC-EUR.';
comment on column public.overrides_used.side is 'buy or sell.';
comment on column public.overrides_used.override_cooldown is 'Was the cooldown overridden?';
comment on column public.overrides_used.override_anti_flip is 'Was the anti-flip window overridden?';
comment on column public.overrides_used.status is 'How the execution stands.';
comment on column public.overrides_used.claimed_at is 'When it was approved.';
comment on column public.overrides_used.execution_id is 'The execution.';
comment on column public.overrides_used.user_id is 'The owner who overrode.';
