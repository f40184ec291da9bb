-- Purpose: a halt that has answered holds, also when it was an edit in the dashboard.
-- Objects: interlock.change_holds_a_gate, user_is_fixed, names_reason, reasons, controls_are_versioned,
--          policies_are_versioned, owner_leaves, ask_for_the_gate, halt and their triggers; interlock.market_marks, holds_back, may_be_asked, allowed_markets,
--          markets_without_operator_ids.
-- Claims hold the gates shared from before their first read to their commit; whoever changes a state holds them exclusively.

set local lock_timeout = '5s';
set local statement_timeout = '60s';

create function interlock.change_holds_a_gate() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
    -- GUARD: a fact that halts has asked for the gate, and is written even if it could not be had in time.
    if current_setting('interlock.gate_waived', true) = 'on' then
        return null;
    end if;
    -- GUARD: one owner's policy may change under that owner's gate; the controls concern everybody.
    if tg_table_name = 'trading_policies' and interlock.holds_a_gate() then
        return null;
    end if;
    perform pg_advisory_xact_lock(interlock.lock_class('global gate'), 0);
    return null;
end
$$;
comment on function interlock.change_holds_a_gate() is
    'Trigger: before a state, mode, limit or policy changes, the change waits for every open claim and keeps new ones waiting. Definer: pg_locks and the lock classes are internal.';

create trigger a_change_holds_a_gate
before update of trading_state, reason, mode, operator_id, trade_key_fingerprint, max_order_eur, max_daily_value_eur
on public.trading_controls
for each statement execute function interlock.change_holds_a_gate();
create trigger a_change_holds_a_gate
before insert or update or delete on public.trading_policies
for each statement execute function interlock.change_holds_a_gate();
create trigger a_change_holds_a_gate
before delete on public.trading_owners
for each statement execute function interlock.change_holds_a_gate();

create function interlock.user_is_fixed() returns trigger
language plpgsql set search_path = ''
as $$
begin
    raise exception using
        errcode = 'restrict_violation',
        message = format('a row of %I.%I stays with its user', tg_table_schema, tg_table_name),
        hint = 'Delete the row and make another, so that both are audited.';
end
$$;
comment on function interlock.user_is_fixed() is
    'Trigger: no edit hands a row to another user, which would end an ownership without a word.';
create trigger a_row_stays_with_its_user before update of user_id on public.trading_owners
for each row when (new.user_id is distinct from old.user_id) execute function interlock.user_is_fixed();
create trigger a_row_stays_with_its_user before update of user_id on public.trading_policies
for each row when (new.user_id is distinct from old.user_id) execute function interlock.user_is_fixed();
create trigger a_row_stays_with_its_user before update of user_id on public.scan_jobs
for each row when (new.user_id is distinct from old.user_id) execute function interlock.user_is_fixed();
create trigger rows_are_never_truncated before truncate on public.trading_owners
for each statement execute function interlock.never();
create trigger rows_are_never_truncated before truncate on public.trading_policies
for each statement execute function interlock.never();

create trigger the_row_is_never_deleted
before delete on public.trading_controls
for each row execute function interlock.never();
create trigger the_row_is_never_truncated
before truncate on public.trading_controls
for each statement execute function interlock.never();

create function interlock.strictness(p_state text) returns integer
language sql immutable strict parallel safe set search_path = ''
as $$ select case p_state when 'ACTIVE' then 0 when 'REDUCE_ONLY' then 1 else 2 end $$;
comment on function interlock.strictness(text) is 'ACTIVE 0, REDUCE_ONLY 1, HALTED 2. The stricter of two states holds.';

create function interlock.names_reason(p_standing text, p_reason text) returns boolean
language sql immutable strict parallel safe set search_path = ''
as $$ select position('; ' || p_reason || '; ' in '; ' || p_standing || '; ') > 0 $$;
comment on function interlock.names_reason(text, text) is 'Is this among the reasons for which a state stands?';

create function interlock.reasons(p_standing text, p_new text) returns text
language sql immutable strict parallel safe set search_path = ''
as $$
    select case
        when starts_with(p_new, p_standing) then p_new
        when p_new = '' or interlock.names_reason(p_standing, p_new) then p_standing
        when length(p_standing) <= 3400 then p_standing || '; ' || left(p_new, 500)
        else left(p_standing, 3400) || '… (all are in audit_events); ' || left(p_new, 500)
    end
$$;
comment on function interlock.reasons(text, text) is
    'The reasons for which a state stands, and a new one: each once. Of very many the first ones and the last.';

create function interlock.controls_are_versioned() returns trigger
language plpgsql set search_path = ''
as $$
begin
    -- Until somebody loosens it, nothing takes a reason away: it may be one that nobody has read yet.
    if old.trading_state <> 'ACTIVE' and interlock.strictness(new.trading_state) >= interlock.strictness(old.trading_state) then
        new.reason := interlock.reasons(old.reason, new.reason);
    end if;
    if new.reconciled_at > interlock.clock() then
        new.reconciled_at := interlock.clock();
    end if;
    if new.reconciled_at < old.reconciled_at then
        new.reconciled_at := old.reconciled_at;
    end if;
    -- Whoever writes the version has halted what was halted already; a comparison by hand opens live trading.
    if (new.reconciled_at is distinct from old.reconciled_at and interlock.actor() <> 'cleanup')
        or to_jsonb(new) - '{reconciled_at,updated_at}'::text[]
            is distinct from to_jsonb(old) - '{reconciled_at,updated_at}'::text[] then
        new.version := old.version + 1;
        new.updated_at := interlock.clock();
    end if;
    return new;
end
$$;
comment on function interlock.controls_are_versioned() is
    'Trigger: a change raises the version, and so does a halt of what is halted; reasons add up until the state is loosened; reconciled_at only rises, never past now, and leaves the version alone when cleanup has compared.';
create trigger b_changes_are_versioned before update on public.trading_controls
for each row execute function interlock.controls_are_versioned();

create function interlock.policies_are_versioned() returns trigger
language plpgsql set search_path = ''
as $$
begin
    new.version := old.version + 1;
    new.updated_at := interlock.clock();
    if interlock.strictness(new.trading_state) < interlock.strictness(old.trading_state) then
        new.loosened_at := new.updated_at;
    elsif old.trading_state <> 'ACTIVE' then
        new.state_reason := interlock.reasons(old.state_reason, new.state_reason);
    end if;
    return new;
end
$$;
comment on function interlock.policies_are_versioned() is
    'Trigger: a change raises the version; loosening the state restarts what automatic halts count, and until then reasons add up.';
create trigger b_changes_are_versioned before update on public.trading_policies
for each row execute function interlock.policies_are_versioned();

create function interlock.owner_leaves() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
    update public.scan_jobs
    set enabled = false, last_error = 'its user is no longer an owner'
    where user_id = old.user_id and enabled;
    return null;
end
$$;
comment on function interlock.owner_leaves() is
    'Trigger: a user who is no longer an owner is no longer scanned for. Definer: whoever edits the list may not write jobs.';
create trigger jobs_end_with_the_owner after delete on public.trading_owners
for each row execute function interlock.owner_leaves();

create function interlock.ask_for_the_gate() returns void
language plpgsql volatile set search_path = ''
as $$
begin
    begin
        perform pg_advisory_xact_lock(interlock.lock_class('global gate'), 0);
    exception
        when lock_not_available or deadlock_detected then
            null;
    end;
    perform set_config('interlock.gate_waived', 'on', true);
end
$$;
comment on function interlock.ask_for_the_gate() is
    'The global gate, for whoever has a fact that may halt, before any row. What cannot have it in time halts without it: a claim that hangs must not hide a fact.';

create function interlock.halt(p_reason text) returns void
language plpgsql volatile set search_path = ''
as $$
begin
    -- GUARD: gate before rows. Whoever finds out only now that a fact halts lets go of its rows, asks, and starts again.
    if current_setting('interlock.gate_waived', true) is distinct from 'on' then
        raise sqlstate 'IL001' using message = 'A halt asks for the gate first.';
    end if;
    update public.trading_controls
    set trading_state = 'HALTED', reason = left(p_reason, 500), version = version + 1
    where singleton;
end
$$;
comment on function interlock.halt(text) is
    'Halts trading globally, once the gate was asked for. A halt of what is halted raises the version as well: whoever resumes has to know of it.';

-- Marks of the comparison: orders out = approvals in

create table interlock.market_marks (
    market text primary key,
    read_to timestamptz not null,
    watched_since timestamptz not null,
    first_read_at timestamptz,
    asked_at timestamptz,
    traded boolean not null default false,
    unread text,
    operator_ids_hidden_at timestamptz,
    operator_ids_shown_at timestamptz,
    constraint unread_is_known check (unread in ('REFUSED', 'UNREADABLE', 'BLIND'))
);
comment on table interlock.market_marks is
    'Up to which time the orders of a market were completely read and compared. A mark moves only after a complete read.';
comment on column interlock.market_marks.market is 'Such as BTC-EUR.';
comment on column interlock.market_marks.read_to is 'Everything before this time was read. Begins 24 hours before the market was first watched.';
comment on column interlock.market_marks.first_read_at is
    'When it was first read completely. Until then, and while no execution traded it, it holds nothing back: a market that an owner misspelled must not stop the others.';
comment on column interlock.market_marks.traded is 'Did an execution ever claim an order in it?';
comment on column interlock.market_marks.watched_since is 'When the market was first watched.';
comment on column interlock.market_marks.asked_at is 'When a run last set out to read it; empty once it was read completely.';
comment on column interlock.market_marks.unread is
    'Why the last run that set out to read it did not: the exchange REFUSED the market, its lists were UNREADABLE, or BLIND to an order that is known. Empty once it was read completely.';
comment on column interlock.market_marks.operator_ids_hidden_at is
    'When orders were last read that showed no operatorId: none of them, or one that is known to be ours. Empty once they showed it.';
comment on column interlock.market_marks.operator_ids_shown_at is 'When orders were last read that showed their operatorId.';

create function interlock.holds_back(p_mark interlock.market_marks) returns boolean
language sql immutable parallel safe set search_path = ''
as $$
    select p_mark.traded or (p_mark.first_read_at is not null and p_mark.unread is distinct from 'REFUSED')
$$;
comment on function interlock.holds_back(interlock.market_marks) is
    'Does live trading wait for the comparison of this market? For one that was traded, always; for one that was only read, while the exchange has it.';

create function interlock.may_be_asked(p_mark interlock.market_marks, p_now timestamptz) returns boolean
language sql immutable parallel safe set search_path = ''
as $$
    select coalesce(
        p_mark.asked_at not between
            p_now - case
                when p_mark.unread is null or interlock.holds_back(p_mark) then interval '40 seconds'
                else interval '1 hour'
            end
            -- Of a run at the same time, the clock may have been read a moment later; but a clock that was set back must
            -- not keep a market from being read.
            and p_now + interval '10 seconds',
        true
    )
$$;
comment on function interlock.may_be_asked(interlock.market_marks, timestamptz) is
    'May a run set out to read this market? While another one may be reading it, no; and what the exchange does not have is asked for once an hour, whoever lists it.';

create function interlock.allowed_markets() returns setof text
language sql stable set search_path = ''
as $$
    select distinct item.value
    from public.trading_policies as policy
    join public.trading_owners as owner on owner.user_id = policy.user_id
    cross join jsonb_array_elements_text(policy.policy -> 'allowlist') as item
    where item.value like '%-EUR'
$$;
comment on function interlock.allowed_markets() is 'The markets that owners'' policies name today.';

create function interlock.markets_without_operator_ids() returns setof text
language sql stable set search_path = ''
as $$
    select mark.market
    from interlock.market_marks as mark
    where mark.operator_ids_hidden_at > coalesce(
        (select max(other.operator_ids_shown_at) from interlock.market_marks as other) - interval '24 hours', '-infinity'
    )
$$;
comment on function interlock.markets_without_operator_ids() is
    'Markets whose orders showed no operatorId when some were last read, unless other markets have shown it for a day since.';
