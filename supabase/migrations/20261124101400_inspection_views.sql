-- Purpose: what a person looks at in the dashboard.
-- Objects: views executions_by_hour, unsettled_executions, incomplete_evidence, scan_health, model_spend, blocking_checks,
--          overrides_used, dry_run_results. Each runs with the rights of whoever looks.

set local lock_timeout = '5s';
set local statement_timeout = '60s';

create view public.executions_by_hour with (security_invoker = true) as
select
    date_trunc('hour', execution.claimed_at, 'UTC') as hour,
    execution.user_id,
    execution.mode,
    execution.status,
    count(*) as executions,
    sum(execution.filled_amount_quote) as filled_eur
from public.trade_executions as execution
group by 1, 2, 3, 4;
comment on view public.executions_by_hour is 'How many executions ended how, by hour (UTC) of their claim, and how many EUR they filled before fees.';

create view public.unsettled_executions with (security_invoker = true) as
select
    execution.id,
    execution.user_id,
    execution.proposal_id,
    execution.market,
    execution.side,
    execution.status,
    execution.order_value,
    execution.claimed_at,
    interlock.clock() - execution.claimed_at as age,
    execution.next_check_at,
    execution.check_attempts,
    execution.error_code
from public.trade_executions as execution
where execution.status in ('CLAIMED', 'UNKNOWN', 'OPEN', 'PARTIALLY_FILLED');
comment on view public.unsettled_executions is
    'Executions whose fate is open, with their age. Cleanup settles them; one older than 24 hours needs a person (settle_by_hand).';

create view public.incomplete_evidence with (security_invoker = true) as
select execution.id, execution.user_id, execution.status, execution.claimed_at, missing.what
from public.trade_executions as execution
cross join lateral (
    select 'policy snapshot' as what where execution.policy_snapshot is null or execution.policy_snapshot = '{}'
    union all
    select 'audit event' where not exists (
        select from public.audit_events as event where event.execution_id = execution.id
    )
    union all
    select 'history' where execution.filled_amount > 0 and not exists (
        select from public.trade_history as history
        where history.execution_id = execution.id and history.amount >= execution.filled_amount
    )
) as missing;
comment on view public.incomplete_evidence is
    'Executions without policy snapshot, audit event or, when filled, history. Empty when all is well.';

create view public.scan_health with (security_invoker = true) as
select
    job.id as scan_job_id,
    job.user_id,
    job.enabled,
    job.next_run_at,
    job.last_run_at,
    case
        when job.enabled and job.next_run_at < interlock.clock() and coalesce(job.lock_expires_at <= interlock.clock(), true)
            then interlock.clock() - job.next_run_at
    end as overdue_by,
    job.locked_by,
    interlock.clock() - job.locked_at as locked_for,
    job.lock_expires_at,
    job.lock_expires_at <= interlock.clock() as lock_is_expired,
    job.consecutive_failures,
    job.last_error,
    (
        select count(*)
        from public.audit_events as event
        where event.event = 'LOCK_EXPIRED'
            and event.user_id = job.user_id
            and event.detail ->> 'scan_job_id' = job.id::text
            and event.at > interlock.clock() - interval '24 hours'
    ) as locks_expired_in_24_hours
from public.scan_jobs as job;
comment on view public.scan_health is
    'Each scan job: how long it is overdue (empty: it is not, or a worker has it), who holds it and for how long, how often it failed, and how many of its locks expired in 24 hours (each one is a worker that crashed or stalled).';

create view public.model_spend with (security_invoker = true) as
select
    policy.user_id,
    count(call.id) filter (where call.created_at >= date_trunc('day', interlock.clock(), 'UTC')) as calls_today,
    (policy.policy #>> '{limits,gpt,daily}')::integer as daily_limit,
    count(call.id) filter (where call.created_at > interlock.clock() - interval '60 minutes') as calls_in_60_minutes,
    (policy.policy #>> '{limits,gpt,hourly}')::integer as hourly_limit,
    count(call.id) filter (
        where call.created_at >= date_trunc('day', interlock.clock(), 'UTC') and call.status in ('FAILED', 'ABANDONED')
    ) as calls_without_answer_today,
    coalesce(sum(call.tokens_used) filter (where call.created_at >= date_trunc('day', interlock.clock(), 'UTC')), 0) as tokens_today
from public.trading_policies as policy
left join public.gpt_usage_log as call
    on call.user_id = policy.user_id
    and call.status in ('RESERVED', 'SUCCEEDED', 'FAILED', 'ABANDONED')
    and call.created_at >= least(date_trunc('day', interlock.clock(), 'UTC'), interlock.clock() - interval '60 minutes')
group by policy.user_id, policy.policy;
comment on view public.model_spend is 'Model calls and tokens of each owner against the budget of their policy. At the limit, scans wait: for the hour, or for midnight UTC.';

create view public.blocking_checks with (security_invoker = true) as
select
    event.user_id,
    verdict.value ->> 'code' as code,
    verdict.value ->> 'check' as check_name,
    count(*) as refusals,
    max(event.at) as last_at
from public.audit_events as event
cross join lateral jsonb_array_elements(event.detail -> 'checks') as verdict
where event.event = 'EXECUTION_REFUSED' and verdict.value ->> 'verdict' = 'FAILED'
group by 1, 2, 3;
comment on view public.blocking_checks is 'Which checks refused approvals, how often and when last. A proposal that is approved again counts again.';

create view public.overrides_used with (security_invoker = true) as
select
    execution.user_id,
    execution.id as execution_id,
    execution.market,
    execution.side,
    execution.override_cooldown,
    execution.override_anti_flip,
    execution.status,
    execution.claimed_at
from public.trade_executions as execution
where execution.override_cooldown or execution.override_anti_flip;
comment on view public.overrides_used is 'Approvals in which an owner overrode the cooldown or the anti-flip window.';

create view public.dry_run_results with (security_invoker = true) as
select
    execution.user_id,
    execution.id as execution_id,
    execution.market,
    execution.side,
    execution.order_value,
    execution.claimed_at,
    ((execution.request ->> 'body')::jsonb ->> 'price')::numeric as price_at_approval,
    latest.reference_price as last_scanned_price,
    latest.created_at as last_scanned_at,
    round(
        (latest.reference_price / ((execution.request ->> 'body')::jsonb ->> 'price')::numeric - 1)
        * case execution.side when 'buy' then 100 else -100 end,
        2
    ) as result_percent
from public.trade_executions as execution
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
    'What dry runs would have made so far, before fees: the price at approval against the last price that a scan stored. Above zero: the trade would have paid.';
