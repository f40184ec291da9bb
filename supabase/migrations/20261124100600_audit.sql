-- Purpose: what happened, in order, in a way that shows when it was tampered with.
-- Objects: public.audit_events, audit_seals, trade_refusals; interlock.unsealed_events, interlock.write_audit and the triggers
--          that call it, keep_refusal.
-- Triggers only insert and take no lock; the chain over the events is made by seal_audit_events under a lock of its own.

set local lock_timeout = '5s';
set local statement_timeout = '60s';

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

create table public.audit_seals (
    sequence bigint primary key,
    event_id uuid not null unique references public.audit_events (id) on delete restrict,
    previous_seal text not null,
    seal text not null,
    sealed_at timestamptz not null,
    constraint sequence_starts_at_1 check (sequence >= 1),
    constraint seals_are_hashes check (seal ~ '^[0-9a-f]{64}$' and previous_seal ~ '^[0-9a-f]{64}$')
);

create table interlock.unsealed_events (
    event_id uuid primary key,
    at timestamptz not null
);
-- A sealing run reads the front of the queue, however long it has grown.
create index unsealed_events_in_order on interlock.unsealed_events (at, event_id);
comment on table interlock.unsealed_events is 'Events that no seal holds yet; a sealing run takes them from here.';
comment on column interlock.unsealed_events.event_id is 'The event.';
comment on column interlock.unsealed_events.at is 'When the event happened; events are sealed in this order.';

comment on table public.audit_events is
    'Everything that happened: approvals, refusals with their checks, orders, fills, halts, edits. Append-only for every role.';
comment on column public.audit_events.id is 'Made here.';
comment on column public.audit_events.at is 'When, on the database''s clock.';
comment on column public.audit_events.user_id is 'The owner it concerns, if one.';
comment on column public.audit_events.proposal_id is 'The proposal it concerns, if one.';
comment on column public.audit_events.execution_id is 'The execution it concerns, if one.';
comment on column public.audit_events.actor is 'Who did it: execute, scan_tick, cleanup, owner, operator, or the database role of a direct edit.';
comment on column public.audit_events.event is 'What happened.';
comment on column public.audit_events.detail is 'The facts.';
comment on table public.audit_seals is
    'A hash chain over the audit events: each seal covers the one before it and one event. verify_audit_chain finds a changed, missing, cut-off or slipped-in event. Append-only.';
comment on column public.audit_seals.sequence is 'Place in the chain, from 1 without gaps.';
comment on column public.audit_seals.event_id is 'The event that is sealed.';
comment on column public.audit_seals.previous_seal is 'The seal before it.';
comment on column public.audit_seals.seal is 'SHA-256 over the previous seal and the event.';
comment on column public.audit_seals.sealed_at is 'When it was sealed.';

create trigger rows_are_never_changed before update or delete on public.audit_events
for each row execute function interlock.never();
create trigger rows_are_never_truncated before truncate on public.audit_events
for each statement execute function interlock.never();
create trigger rows_are_never_changed before update or delete on public.audit_seals
for each row execute function interlock.never();
create trigger rows_are_never_truncated before truncate on public.audit_seals
for each statement execute function interlock.never();

create function interlock.queue_for_sealing() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
    insert into interlock.unsealed_events (event_id, at) values (new.id, new.at);
    return null;
end
$$;
comment on function interlock.queue_for_sealing() is
    'Trigger: a new event waits for its seal. Definer: no role but the owner writes the queue.';
create trigger a_new_event_waits_for_its_seal after insert on public.audit_events
for each row execute function interlock.queue_for_sealing();

-- In plpgsql, as write_audit is: a function in SQL is planned anew in every call.
create function interlock.actor() returns text
language plpgsql stable set search_path = ''
as $$
begin
    return coalesce(
        nullif(current_setting('interlock.actor', true), ''),
        nullif(current_setting('role', true), 'none'),
        session_user::text
    );
end
$$;
comment on function interlock.actor() is 'Who acts: set by each RPC for its transaction; the database role for a direct edit.';

create function interlock.write_audit(
    p_event text, p_user_id uuid, p_proposal_id uuid, p_execution_id uuid, p_detail jsonb
) returns void
language plpgsql volatile security definer set search_path = ''
as $$
begin
    insert into public.audit_events (user_id, proposal_id, execution_id, actor, event, detail)
    values (p_user_id, p_proposal_id, p_execution_id, interlock.actor(), p_event, p_detail);
end
$$;
comment on function interlock.write_audit(text, uuid, uuid, uuid, jsonb) is
    'One audit event. Definer: no role but the owner writes the audit.';

create function interlock.changed_fields(p_old jsonb, p_new jsonb, p_left_out text[] default '{}') returns jsonb
language sql immutable set search_path = ''
as $$
    select coalesce(jsonb_object_agg(field.key, jsonb_build_array(p_old -> field.key, field.value)), '{}')
    from jsonb_each(p_new) as field
    where p_old -> field.key is distinct from field.value and field.key <> all (p_left_out)
$$;
comment on function interlock.changed_fields(jsonb, jsonb, text[]) is 'What an update changed: field, [old, new].';

create function interlock.audit_change() returns trigger
language plpgsql security definer set search_path = ''
as $$
declare
    v_new jsonb := case when tg_op <> 'DELETE' then interlock.row_json(to_jsonb(new)) end;
    v_old jsonb := case when tg_op <> 'INSERT' then interlock.row_json(to_jsonb(old)) end;
    v_row jsonb := coalesce(v_new, v_old);
    v_changes jsonb := interlock.changed_fields(coalesce(v_old, '{}'), coalesce(v_new, '{}'), array['updated_at', 'version']);
begin
    case tg_table_name
        when 'trade_executions' then
            if tg_op = 'INSERT' then
                perform interlock.write_audit(
                    'EXECUTION_' || new.status, new.user_id, new.proposal_id, new.id, v_new - '{policy_snapshot}'::text[]);
            elsif new.status is distinct from old.status or new.filled_amount is distinct from old.filled_amount
                or new.fee is distinct from old.fee then
                perform interlock.write_audit('EXECUTION_' || new.status, new.user_id, new.proposal_id, new.id, v_changes);
            end if;
        when 'trade_history' then
            perform interlock.write_audit('FILL_RECORDED', new.user_id, null, new.execution_id, v_new);
        when 'trade_proposals' then
            if tg_op = 'INSERT' then
                perform interlock.write_audit('PROPOSAL_STORED', new.user_id, new.id, null,
                    v_new - '{policy_snapshot,market_snapshot}'::text[]);
            elsif tg_op = 'DELETE' then
                perform interlock.write_audit('PROPOSAL_DELETED', old.user_id, old.id, null, v_old);
            elsif new.status is distinct from old.status and new.status in ('EXPIRED', 'DECLINED') then
                perform interlock.write_audit('PROPOSAL_' || new.status, new.user_id, new.id, null, '{}');
            end if;
        when 'scan_jobs' then
            if tg_op = 'DELETE' then
                perform interlock.write_audit('SCAN_DELETED', old.user_id, null, null, v_old - 'lock_token');
            elsif tg_op = 'INSERT' or new.enabled is distinct from old.enabled then
                perform interlock.write_audit(
                    case when new.enabled then 'SCAN_ENABLED' else 'SCAN_DISABLED' end,
                    new.user_id, null, null,
                    jsonb_build_object('scan_job_id', new.id, 'last_error', new.last_error));
            end if;
        when 'trading_controls' then
            if new.version <> old.version then
                perform interlock.write_audit('CONTROLS_CHANGED', null, null, null, v_changes);
            end if;
        when 'trading_policies' then
            perform interlock.write_audit(
                case tg_op when 'INSERT' then 'POLICY_CREATED' when 'DELETE' then 'POLICY_DELETED' else 'POLICY_CHANGED' end,
                (v_row ->> 'user_id')::uuid, null, null, coalesce(nullif(v_changes, '{}'), v_row));
        when 'trading_owners' then
            perform interlock.write_audit(
                case tg_op when 'INSERT' then 'OWNER_NAMED' when 'DELETE' then 'OWNER_REMOVED' else 'OWNER_NOTED' end,
                (v_row ->> 'user_id')::uuid, null, null, v_row);
    end case;
    return null;
end
$$;
comment on function interlock.audit_change() is
    'Trigger: one audit event for each change that matters. It only inserts and takes no lock. Definer: no role but the owner writes the audit.';

create trigger z_audit after insert or update on public.trade_executions
for each row execute function interlock.audit_change();
create trigger z_audit after insert or update on public.trade_history
for each row execute function interlock.audit_change();
create trigger z_audit after insert or update or delete on public.trade_proposals
for each row execute function interlock.audit_change();
create trigger z_audit after insert or update of enabled or delete on public.scan_jobs
for each row execute function interlock.audit_change();
create trigger z_audit after update on public.trading_controls
for each row execute function interlock.audit_change();
create trigger z_audit after insert or update or delete on public.trading_policies
for each row execute function interlock.audit_change();
create trigger z_audit after insert or update or delete on public.trading_owners
for each row execute function interlock.audit_change();

-- Refusals: an owner may ask for the same thing any number of times, and the audit grows by what is new.

create table public.trade_refusals (
    proposal_id uuid not null,
    verdicts text not null,
    times bigint not null default 1,
    recent_at timestamptz [] not null,
    last_at timestamptz not null generated always as (recent_at[1]) stored,
    clock_skew boolean not null,
    event_id uuid not null references public.audit_events (id) on delete restrict,
    user_id uuid not null,
    primary key (proposal_id, verdicts),
    constraint a_refusal_happened check (times >= 1 and cardinality(recent_at) <= 5)
);
create index skewed_clocks_by_owner on public.trade_refusals (user_id, last_at) where clock_skew;
create index refusals_by_event on public.trade_refusals (event_id);
comment on table public.trade_refusals is
    'How often an approval was refused by the same checks, and when. The first time is an event of the audit, with all verdicts and facts; a repeat is counted here. Never deleted.';
comment on column public.trade_refusals.proposal_id is 'The proposal whose approval was refused.';
comment on column public.trade_refusals.verdicts is 'Digest of the checks that did not pass and of what was decided: the approval before market facts, or the claim.';
comment on column public.trade_refusals.times is 'How often.';
comment on column public.trade_refusals.last_at is 'When last.';
comment on column public.trade_refusals.recent_at is 'The last five times, the latest first.';
comment on column public.trade_refusals.clock_skew is 'Was a clock off (CLOCK_SKEW)? Five of these within an hour halt their owner.';
comment on column public.trade_refusals.event_id is 'The audit event of the first time.';
comment on column public.trade_refusals.user_id is 'The owner who approved.';

create function interlock.refusals_only_grow() returns trigger
language plpgsql set search_path = ''
as $$
begin
    if (new.proposal_id, new.verdicts, new.clock_skew, new.event_id, new.user_id)
        is distinct from (old.proposal_id, old.verdicts, old.clock_skew, old.event_id, old.user_id)
        or new.times <= old.times then
        raise exception using
            errcode = 'restrict_violation', message = 'a refusal of public.trade_refusals stays, and its count only rises';
    end if;
    return new;
end
$$;
comment on function interlock.refusals_only_grow() is 'Trigger: a count only rises, and of what it counts nothing changes.';
create trigger refusals_only_grow before update on public.trade_refusals
for each row execute function interlock.refusals_only_grow();
create trigger rows_are_never_deleted before delete on public.trade_refusals
for each row execute function interlock.never();
create trigger rows_are_never_truncated before truncate on public.trade_refusals
for each statement execute function interlock.never();

create function interlock.keep_refusal(
    p_user_id uuid, p_proposal_id uuid, p_checks jsonb, p_before text, p_attempt_id uuid, p_now timestamptz
) returns void
language plpgsql volatile set search_path = ''
as $$
declare
    c_recent constant integer := 5; -- as many as an automatic halt counts
    v_event uuid := gen_random_uuid();
begin
    with kept as (
        insert into public.trade_refusals as known (proposal_id, user_id, verdicts, clock_skew, recent_at, event_id)
        values (
            p_proposal_id, p_user_id,
            (
                select interlock.digest(jsonb_build_array(p_before, jsonb_agg(verdict.value - 'facts'))::text)
                from jsonb_array_elements(p_checks) as verdict
                where verdict.value ->> 'verdict' not in ('PASSED', 'NOT_APPLICABLE')
            ),
            p_checks @> '[{"code": "CLOCK_SKEW"}]', array[p_now], v_event
        )
        on conflict (proposal_id, verdicts) do update
        set times = known.times + 1, recent_at = (p_now || known.recent_at)[:c_recent]
        returning known.event_id
    )
    insert into public.audit_events (id, user_id, proposal_id, actor, event, detail)
    select
        v_event, p_user_id, p_proposal_id, interlock.actor(), 'EXECUTION_REFUSED',
        jsonb_strip_nulls(jsonb_build_object('before', p_before, 'attempt_id', p_attempt_id)) || jsonb_build_object('checks', p_checks)
    from kept
    -- GUARD: the same checks again are counted, whatever their number; any other refusal is an event of its own.
    where kept.event_id = v_event;
end
$$;
comment on function interlock.keep_refusal(uuid, uuid, jsonb, text, uuid, timestamptz) is
    'Keeps a refused approval: as an audit event when these checks refuse it for the first time, else as one more of that.';
