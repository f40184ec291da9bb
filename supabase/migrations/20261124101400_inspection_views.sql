-- Purpose: what a person looks at in the dashboard.
-- Objects: views recent_proposals, executions_by_hour, unsettled_executions, incomplete_evidence, scan_health, model_spend, blocking_checks,
--          overrides_used, dry_run_results. Each runs with the rights of whoever looks.

set local lock_timeout = '5s';
set local statement_timeout = '60s';

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
    'The proposals of the last 7 days, newest first: what was proposed and why, and what became of it. PENDING ones wait for their owner''s approval until they expire.';
comment on column public.recent_proposals.status is 'PENDING, EXECUTING, EXECUTED, FAILED, EXPIRED or DECLINED; DRY_RUN where an order would have been.';
comment on column public.recent_proposals.market is 'Such as BTC-EUR.';
comment on column public.recent_proposals.side is 'buy or sell.';
comment on column public.recent_proposals.eur is 'What it would spend, fee included, or for a sell its amount at the reference price, EUR.';
comment on column public.recent_proposals.reference_price is 'The price, EUR, that the model saw. An approval is refused when the price has moved too far from it.';
comment on column public.recent_proposals.limit_price is 'The price of a limit order, EUR. Empty: a market order.';
comment on column public.recent_proposals.confidence is 'The model''s, 0 to 100.';
comment on column public.recent_proposals.rationale is 'The model''s reason.';
comment on column public.recent_proposals.created_at is 'When it was proposed.';
comment on column public.recent_proposals.expires_at is 'Until when it may be approved.';
comment on column public.recent_proposals.execution_status is 'How its execution stands. Empty: it has none.';
comment on column public.recent_proposals.proposal_id is 'The proposal, as ./interlock approve takes it.';
comment on column public.recent_proposals.user_id is 'The owner whose approval it waits for.';

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
comment on view public.executions_by_hour is 'How many executions ended how, by hour (UTC) of their claim, and how many EUR they filled before fees.';
comment on column public.executions_by_hour.hour is 'The hour, UTC, in which they were claimed.';
comment on column public.executions_by_hour.mode is 'live or dry_run.';
comment on column public.executions_by_hour.status is 'How they stand now.';
comment on column public.executions_by_hour.executions is 'How many.';
comment on column public.executions_by_hour.filled_eur is 'EUR that they filled together, without fees.';
comment on column public.executions_by_hour.user_id is 'The owner.';

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
    'Executions whose fate is open, with their age. Cleanup settles them; one older than 24 hours needs a person (settle_by_hand).';
comment on column public.unsettled_executions.status is 'CLAIMED, UNKNOWN, OPEN or PARTIALLY_FILLED.';
comment on column public.unsettled_executions.market is 'Such as BTC-EUR.';
comment on column public.unsettled_executions.side is 'buy or sell.';
comment on column public.unsettled_executions.order_value_eur is 'The most EUR that it may still have spent; limits count it.';
comment on column public.unsettled_executions.age is 'Since then. Minutes are usual; above 24 hours it waits for settle_by_hand.';
comment on column public.unsettled_executions.error_code is 'What the exchange said last, if it was an error.';
comment on column public.unsettled_executions.next_check_at is 'When cleanup looks at it next.';
comment on column public.unsettled_executions.check_attempts is 'How often cleanup has looked since the status last changed.';
comment on column public.unsettled_executions.claimed_at is 'When it was claimed.';
comment on column public.unsettled_executions.id is 'The execution; also the clientOrderId to look for at the exchange.';
comment on column public.unsettled_executions.proposal_id is 'The proposal.';
comment on column public.unsettled_executions.user_id is 'The owner who approved.';

create view public.incomplete_evidence with (security_invoker = true) as
select missing.what, execution.status, execution.claimed_at, execution.id, execution.user_id
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
comment on column public.incomplete_evidence.what is 'What is missing: policy snapshot, audit event or history.';
comment on column public.incomplete_evidence.status is 'How it stands.';
comment on column public.incomplete_evidence.claimed_at is 'When it was claimed.';
comment on column public.incomplete_evidence.id is 'The execution.';
comment on column public.incomplete_evidence.user_id is 'The owner who approved.';

create view public.scan_health with (security_invoker = true) as
select
    job.enabled,
    case
        when job.enabled and job.next_run_at < interlock.clock() and coalesce(job.lock_expires_at <= interlock.clock(), true)
            then date_trunc('second', interlock.clock() - job.next_run_at)
    end as overdue_by,
    job.last_outcome,
    job.last_error,
    job.consecutive_failures,
    job.next_run_at,
    job.last_run_at,
    job.locked_by,
    date_trunc('second', interlock.clock() - job.locked_at) as locked_for,
    job.lock_expires_at,
    job.lock_expires_at <= interlock.clock() as lock_is_expired,
    (
        select count(*)
        from public.audit_events as event
        where event.event = 'LOCK_EXPIRED'
            and event.user_id = job.user_id
            and event.detail ->> 'scan_job_id' = job.id::text
            and event.at > interlock.clock() - interval '24 hours'
    ) as locks_expired_in_24_hours,
    job.id as scan_job_id,
    job.user_id
from public.scan_jobs as job;
comment on view public.scan_health is
    'Each scan job: how long it is overdue (empty: it is not, or a worker has it), who holds it and for how long, how often it failed, and how many of its locks expired in 24 hours (each one is a worker that crashed or stalled).';
comment on column public.scan_health.enabled is 'Is it switched on? Ten failures in a row switch it off; schedule_scan switches it on again.';
comment on column public.scan_health.overdue_by is 'For how long it has been due without a worker. Above some minutes: the scheduler or scan_tick does not run.';
comment on column public.scan_health.last_outcome is 'What the last scan came to, and why.';
comment on column public.scan_health.last_error is 'What went wrong last, or why it is switched off.';
comment on column public.scan_health.consecutive_failures is 'Failures since the last success.';
comment on column public.scan_health.next_run_at is 'Due from this time on.';
comment on column public.scan_health.last_run_at is 'When a scan last finished.';
comment on column public.scan_health.locked_by is 'The worker that holds it.';
comment on column public.scan_health.locked_for is 'For how long the worker has held it.';
comment on column public.scan_health.lock_expires_at is 'From this time on another worker may take it.';
comment on column public.scan_health.lock_is_expired is 'true: the worker that holds it has crashed, and nobody has taken over yet.';
comment on column public.scan_health.locks_expired_in_24_hours is 'How many of its workers did not finish in 24 hours. More than a few: scans take too long or crash.';
comment on column public.scan_health.scan_job_id is 'The job.';
comment on column public.scan_health.user_id is 'The owner it scans for.';

create view public.model_spend with (security_invoker = true) as
select
    count(call.id) filter (where call.created_at >= date_trunc('day', interlock.clock(), 'UTC')) as calls_today,
    (policy.policy #>> '{limits,gpt,daily}')::integer as daily_limit,
    count(call.id) filter (where call.created_at > interlock.clock() - interval '60 minutes') as calls_in_60_minutes,
    (policy.policy #>> '{limits,gpt,hourly}')::integer as hourly_limit,
    count(call.id) filter (
        where call.created_at >= date_trunc('day', interlock.clock(), 'UTC') and call.status in ('FAILED', 'ABANDONED')
    ) as calls_without_answer_today,
    coalesce(
        sum(case when call.status in ('RESERVED', 'ABANDONED') then call.most_tokens else call.tokens_used end)
            filter (where call.created_at >= date_trunc('day', interlock.clock(), 'UTC')),
        0
    ) as tokens_today,
    policy.user_id
from public.trading_policies as policy
left join public.gpt_usage_log as call
    on call.user_id = policy.user_id
    and call.status in ('RESERVED', 'SUCCEEDED', 'FAILED', 'ABANDONED')
    and call.created_at >= least(date_trunc('day', interlock.clock(), 'UTC'), interlock.clock() - interval '60 minutes')
group by policy.user_id, policy.policy;
comment on view public.model_spend is 'Model calls and tokens of each owner against the budget of their policy. At the limit, scans wait: for the hour, or for midnight UTC.';
comment on column public.model_spend.calls_today is 'Calls that count, this UTC day.';
comment on column public.model_spend.daily_limit is 'How many the policy allows in a UTC day.';
comment on column public.model_spend.calls_in_60_minutes is 'Calls that count, in the last 60 minutes.';
comment on column public.model_spend.hourly_limit is 'How many the policy allows in 60 minutes.';
comment on column public.model_spend.calls_without_answer_today is 'Those of today that failed or were given up: paid for, perhaps, and nothing came of them.';
comment on column public.model_spend.tokens_today is 'Tokens of question and answer, this UTC day: as reported, or the most that a call may use where nothing is reported.';
comment on column public.model_spend.user_id is 'The owner.';

create view public.blocking_checks with (security_invoker = true) as
select
    verdict.value ->> 'check' as check_name,
    verdict.value ->> 'code' as code,
    sum(refusal.times)::bigint as refusals,
    max(refusal.last_at) as last_at,
    refusal.user_id
from public.trade_refusals as refusal
join public.audit_events as event on event.id = refusal.event_id
cross join lateral jsonb_array_elements(event.detail -> 'checks') as verdict
where verdict.value ->> 'verdict' = 'FAILED'
group by 1, 2, refusal.user_id;
comment on view public.blocking_checks is 'Which checks refused approvals, how often and when last. A proposal that is approved again counts again.';
comment on column public.blocking_checks.check_name is 'The check that refused.';
comment on column public.blocking_checks.code is 'Why it was refused.';
comment on column public.blocking_checks.refusals is 'How often.';
comment on column public.blocking_checks.last_at is 'When last.';
comment on column public.blocking_checks.user_id is 'The owner who approved.';

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
comment on view public.overrides_used is 'Approvals in which an owner overrode the cooldown or the anti-flip window.';
comment on column public.overrides_used.market is 'Such as BTC-EUR.';
comment on column public.overrides_used.side is 'buy or sell.';
comment on column public.overrides_used.override_cooldown is 'Was the cooldown overridden?';
comment on column public.overrides_used.override_anti_flip is 'Was the anti-flip window overridden?';
comment on column public.overrides_used.status is 'How the execution stands.';
comment on column public.overrides_used.claimed_at is 'When it was approved.';
comment on column public.overrides_used.execution_id is 'The execution.';
comment on column public.overrides_used.user_id is 'The owner who overrode.';

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
    'What dry runs would have made so far, before fees: the price at approval against the last price that a scan stored. Above zero: the trade would have paid.';
comment on column public.dry_run_results.market is 'Such as BTC-EUR.';
comment on column public.dry_run_results.side is 'buy or sell.';
comment on column public.dry_run_results.order_value_eur is 'The most EUR that would have changed hands.';
comment on column public.dry_run_results.result_percent is 'What the price has moved in favour of the trade, percent. Empty: a limit order whose price was not reached.';
comment on column public.dry_run_results.price_at_approval is 'The best ask for a buy, the best bid for a sell, EUR, when it was approved.';
comment on column public.dry_run_results.last_scanned_price is 'The price, EUR, that the last scan of this market stored.';
comment on column public.dry_run_results.claimed_at is 'When it was approved.';
comment on column public.dry_run_results.last_scanned_at is 'When that scan stored it. Before claimed_at: nothing has been learned since.';
comment on column public.dry_run_results.execution_id is 'The dry run.';
comment on column public.dry_run_results.user_id is 'The owner who approved.';
