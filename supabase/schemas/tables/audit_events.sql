create table public.audit_events (
    id uuid primary key default gen_random_uuid(),
    at timestamptz not null default interlock.clock(),
    event text not null,
    actor text not null,
    detail jsonb not null default '{}',
    proposal_id uuid,
    execution_id uuid,
    user_id uuid
);

create index events_by_time on public.audit_events (at);
create index events_by_execution on public.audit_events (execution_id) where execution_id is not null;
create index events_by_user on public.audit_events (user_id, at);
create index events_by_kind on public.audit_events (event, at);

-- What automatic halts count. Refusals, which an owner can make at will, are counted in trade_refusals.
create index failures_by_owner on public.audit_events (user_id, event, at)
where event in ('EXECUTION_UNKNOWN', 'EXECUTION_REJECTED', 'EXECUTION_NOT_PLACED');

comment on table public.audit_events is
    'Everything that happened: approvals, refusals with their checks, orders, fills, halts, edits. '
    'Append-only for every role.';
comment on column public.audit_events.id is 'Made here.';
comment on column public.audit_events.at is 'When, on the database''s clock.';
comment on column public.audit_events.user_id is 'The owner it concerns, if one.';
comment on column public.audit_events.proposal_id is 'The proposal it concerns, if one.';
comment on column public.audit_events.execution_id is 'The execution it concerns, if one.';
comment on column public.audit_events.actor is
    'Who did it: execute, scan_tick, cleanup, owner, operator, or the database role of a direct edit.';
comment on column public.audit_events.event is 'What happened.';
comment on column public.audit_events.detail is 'The facts.';

create trigger rows_are_never_changed before update or delete on public.audit_events
for each row execute function interlock.never();

create trigger rows_are_never_truncated before truncate on public.audit_events
for each statement execute function interlock.never();
