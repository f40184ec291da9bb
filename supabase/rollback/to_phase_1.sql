-- Purpose: takes the database from phase 2 back to phase 1. README.md beside this file says when, how, and what stays.
-- Runs as role postgres, with any client, as one transaction: it happens whole or not at all.
-- Evidence moves to schema interlock_archive; the migrations, applied again, bring it back.

-- squawk-ignore-file ban-set-schema, ban-drop-schema, ban-drop-view, ban-drop-function, ban-drop-column, ban-drop-constraint -- it is there to take phase 2 away
-- squawk-ignore-file ban-drop-generated-expression, ban-drop-not-null, adding-not-nullable-field -- the columns become what phase 1 had
-- squawk-ignore-file require-concurrent-index-deletion, require-concurrent-index-creation -- nothing runs meanwhile, and it is one transaction
-- squawk-ignore-file transaction-nesting -- no tool wraps this file in a transaction, so it brings its own

begin;

set local lock_timeout = '10s';
set local statement_timeout = '10min';
set local client_min_messages = warning;
set local search_path = '';
-- Rows are compared as JSON when they come back: instants are written in one time zone.
set local timezone = 'UTC';
set local interlock.actor = 'rollback';

-- Guards

do $$
begin
    if to_regclass('public.trade_executions') is null then
        raise exception using
            errcode = 'object_not_in_prerequisite_state',
            message = 'there is nothing to roll back: this database is not at phase 2';
    end if;
    if to_regnamespace('interlock_archive') is not null then
        raise exception using
            errcode = 'object_not_in_prerequisite_state',
            message = 'the archive of an earlier rollback was not restored',
            hint = 'Let supabase db push apply all migrations first.';
    end if;
end
$$;

-- A claim holds its proposal first, so this waits for open claims and lets no new one begin.
lock table
    public.trade_proposals, public.trade_executions, public.scan_jobs, public.gpt_usage_log, public.trade_history,
    public.trading_controls, public.trading_policies, public.trading_owners, public.audit_events, public.audit_seals,
    public.trade_refusals
in access exclusive mode;

do $$
declare
    v_unsettled text;
begin
    select string_agg(execution.id::text, ', ' order by execution.claimed_at) into v_unsettled
    from public.trade_executions as execution
    where interlock.is_unsettled(execution.status);
    if v_unsettled is not null then
        raise exception using
            errcode = 'object_not_in_prerequisite_state',
            message = 'an execution is unsettled: its order may still trade, and phase 1 would not know of it',
            detail = format('Unsettled: %s.', v_unsettled),
            hint = 'Let cleanup settle it, or settle it by hand (settle_by_hand); then run the rollback again.';
    end if;
end
$$;

-- Phase 1 would execute what is still open.
update public.trade_proposals set status = 'EXPIRED' where status = 'PENDING';
set constraints all immediate;

-- Evidence

create schema interlock_archive;
revoke all on schema interlock_archive from public;
comment on schema interlock_archive is
    'Evidence of phase 2, put aside by supabase/rollback/. Do not edit: the migrations, applied again, bring it back and remove this schema.';

create table interlock_archive.scan_jobs as
select job.*, null::jsonb as left_as from public.scan_jobs as job;
create table interlock_archive.trade_proposals as
select proposal.*, null::jsonb as left_as from public.trade_proposals as proposal;
alter table interlock_archive.scan_jobs add primary key (id);
alter table interlock_archive.trade_proposals add primary key (id);
comment on table interlock_archive.scan_jobs is 'Each job as phase 2 had it.';
comment on table interlock_archive.trade_proposals is 'Each proposal as phase 2 had it.';
comment on column interlock_archive.scan_jobs.left_as is
    'The row that the rollback left to phase 1. One that phase 1 has changed since comes back as a phase-1 row.';
comment on column interlock_archive.trade_proposals.left_as is
    'The row that the rollback left to phase 1. One that phase 1 has changed since comes back as a phase-1 row.';

alter table public.trade_executions set schema interlock_archive;
alter table public.trade_history set schema interlock_archive;
alter table public.gpt_usage_log set schema interlock_archive;
alter table public.audit_events set schema interlock_archive;
alter table public.audit_seals set schema interlock_archive;
alter table public.trade_refusals set schema interlock_archive;
alter table public.trading_controls set schema interlock_archive;
alter table public.trading_owners set schema interlock_archive;
alter table public.trading_policies set schema interlock_archive;
alter table interlock.unsealed_events set schema interlock_archive;
alter table interlock.market_marks set schema interlock_archive;
alter table interlock.absence_rounds set schema interlock_archive;
alter table interlock.notices set schema interlock_archive;
alter table interlock.taken_from_phase_1 set schema interlock_archive;
-- Generated by functions that are about to go; the values stay.
alter table interlock_archive.trading_policies alter column policy_hash drop expression;
alter table interlock_archive.trade_executions alter column fee_eur drop expression;

-- What phase 2 made

drop view
    public.executions_by_hour, public.unsettled_executions, public.incomplete_evidence, public.scan_health,
    public.model_spend, public.blocking_checks, public.overrides_used, public.dry_run_results,
    public.recent_proposals;
drop function
    public.begin_execution, public.claim_execution, public.record_execution_result, public.get_execution_status,
    public.claim_due_scan_jobs, public.check_gpt_budget, public.reserve_gpt_call, public.log_gpt_usage,
    public.finish_scan, public.release_job_lock, public.expire_old_proposals, public.cleanup_expired_locks,
    public.begin_cleanup, public.release_reconciliation, public.announce_cancel, public.alarm_overdue_executions,
    public.report_unread_markets, public.record_absence, public.halt_failing_owners, public.stop_watching, public.compare_orders,
    public.seal_audit_events, public.take_notices, public.end_notices, public.verify_audit_chain, public.settle_by_hand, public.halt_trading,
    public.set_trading_controls, public.set_trading_policy, public.set_trading_state, public.schedule_scan,
    public.decline_proposal;
-- Takes with it, from every table, the triggers, defaults and checks that call its functions.
drop schema interlock cascade;

do $$
declare
    v_policy record;
    v_table regclass;
begin
    for v_policy in
        select policy.polname as name, policy.polrelid::regclass as place
        from pg_catalog.pg_policy as policy
        join pg_catalog.pg_class as relation on relation.oid = policy.polrelid
        where relation.relnamespace = 'interlock_archive'::regnamespace
            or relation.oid in ('public.scan_jobs'::regclass, 'public.trade_proposals'::regclass)
    loop
        execute format('drop policy %I on %s', v_policy.name, v_policy.place);
    end loop;
    for v_table in
        select relation.oid::regclass
        from pg_catalog.pg_class as relation
        where relation.relkind = 'r'
            and (relation.relnamespace = 'interlock_archive'::regnamespace
                or relation.oid in ('public.scan_jobs'::regclass, 'public.trade_proposals'::regclass))
    loop
        execute format('revoke all on table %s from public, anon, authenticated, service_role', v_table);
    end loop;
end
$$;

-- Phase 1's tables

drop index
    public.jobs_by_user, public.pending_proposals_by_user, public.proposals_by_user, public.proposals_to_expire,
    public.proposals_by_job;
-- A check or an index goes with its column.
alter table public.scan_jobs
    drop constraint user_exists,
    drop column enabled,
    drop column locked_at,
    drop column locked_by,
    drop column lock_expires_at,
    drop column lock_token,
    drop column finished_token,
    drop column consecutive_failures,
    drop column last_error,
    drop column last_outcome,
    drop column legacy,
    alter column status set default 'active',
    alter column next_run_at set default now(),
    alter column next_run_at drop not null,
    alter column created_at set default now();
alter table public.trade_proposals
    drop constraint user_exists,
    drop constraint status_is_known,
    drop column asset,
    drop column market,
    drop column order_type,
    drop column amount_quote,
    drop column limit_price,
    drop column reference_price,
    drop column override_cooldown,
    drop column override_anti_flip,
    drop column policy_hash,
    drop column policy_snapshot,
    drop column model,
    drop column prompt_version,
    drop column input_hash,
    drop column market_snapshot,
    drop column clamped,
    drop column legacy,
    alter column created_at set default now();
alter table public.trade_proposals add column asset text, add column allowlist text[];

-- Proposals of phase 1 are what they were, save that none is open again.
update public.trade_proposals as proposal
set
    asset = before.asset,
    side = before.side,
    amount = before.amount,
    confidence = before.confidence,
    allowlist = before.allowlist,
    status = case when upper(trim(before.status)) = 'PENDING' then proposal.status else before.status end
from interlock_archive.trade_proposals as kept
cross join lateral jsonb_populate_record(null::public.trade_proposals, kept.legacy) as before
where kept.id = proposal.id and kept.legacy is not null;

-- Proposals made since are written as phase 1 writes them: a buy in the asset, markets with a slash.
update public.trade_proposals as proposal
set
    asset = kept.asset,
    amount = coalesce(kept.amount, trunc(kept.amount_quote / coalesce(kept.limit_price, kept.reference_price), 8)),
    allowlist = array(
        select replace(market.name #>> '{}', '-', '/')
        from jsonb_path_query(kept.policy_snapshot, '$.allowlist[*]') with ordinality as market (name, position)
        order by market.position
    )
from interlock_archive.trade_proposals as kept
where kept.id = proposal.id and kept.legacy is null;

-- Jobs of phase 1 still have their policy. One that was switched since stays switched as it is.
update public.scan_jobs as job
set
    status = case
        when not exists (
            select
            from interlock_archive.audit_events as event
            where event.user_id = kept.user_id
                and event.event in ('SCAN_ENABLED', 'SCAN_DISABLED')
                and event.detail ->> 'scan_job_id' = kept.id::text
        ) then kept.legacy ->> 'status'
        when kept.enabled then 'active'
        else 'paused'
    end,
    next_run_at = case
        when kept.legacy ->> 'next_run_at' is null and kept.last_run_at is not distinct from (kept.legacy ->> 'last_run_at')::timestamptz
            then null
        else kept.next_run_at
    end
from interlock_archive.scan_jobs as kept
where kept.id = job.id and kept.legacy is not null;

update public.scan_jobs as job
set
    status = case when kept.enabled then 'active' else 'paused' end,
    policy = (
        select jsonb_set(policy.policy, '{allowlist}', replace(policy.policy ->> 'allowlist', '-', '/')::jsonb)
        from interlock_archive.trading_policies as policy
        where policy.user_id = kept.user_id
    )
from interlock_archive.scan_jobs as kept
where kept.id = job.id and kept.legacy is null;

alter table public.trade_proposals
    alter column asset set not null,
    alter column side set not null;
create index trade_proposals_user_id on public.trade_proposals (user_id);

update interlock_archive.scan_jobs as kept
set left_as = to_jsonb(job)
from public.scan_jobs as job
where job.id = kept.id;
update interlock_archive.trade_proposals as kept
set left_as = to_jsonb(proposal)
from public.trade_proposals as proposal
where proposal.id = kept.id;

do $$
declare
    v_statement text;
    v_field record;
begin
    for v_statement in select taken.statement from interlock_archive.taken_from_phase_1 as taken loop
        execute v_statement;
    end loop;
    drop table interlock_archive.taken_from_phase_1;

    -- The comments were phase 2's.
    comment on table public.scan_jobs is null;
    comment on table public.trade_proposals is null;
    for v_field in
        select field.attrelid::regclass as place, field.attname as name
        from pg_catalog.pg_attribute as field
        where field.attrelid in ('public.scan_jobs'::regclass, 'public.trade_proposals'::regclass)
            and field.attnum > 0
            and not field.attisdropped
    loop
        execute format('comment on column %s.%I is null', v_field.place, v_field.name);
    end loop;

    -- supabase db push applies the migrations again.
    if to_regclass('supabase_migrations.schema_migrations') is not null then
        delete from supabase_migrations.schema_migrations where version between '20261124100000' and '20261124999999';
    end if;
end
$$;

commit;
