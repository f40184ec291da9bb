create view public.executions_by_hour with (security_invoker = true) as
select
    date_trunc('hour', execution.claimed_at, 'UTC') as hour,
    execution.mode,
    execution.status,
    count(*) as executions,
    sum(execution.filled_amount_quote) as filled_eur,
    execution.user_id
from public.trade_executions as execution
group by 1, 2, 3, execution.user_id;

comment on view public.executions_by_hour is
    'How many executions ended how, by hour (UTC) of their claim, and how many EUR they filled before '
    'fees.';
comment on column public.executions_by_hour.hour is 'The hour, UTC, in which they were claimed.';
comment on column public.executions_by_hour.mode is 'live or dry_run.';
comment on column public.executions_by_hour.status is 'How they stand now.';
comment on column public.executions_by_hour.executions is 'How many.';
comment on column public.executions_by_hour.filled_eur is 'EUR that they filled together, without fees.';
comment on column public.executions_by_hour.user_id is 'The owner.';
