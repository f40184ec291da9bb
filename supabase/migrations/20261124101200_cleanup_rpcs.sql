-- Purpose: what the function cleanup calls: expiry, recovery, reconciliation, comparison, seals.
-- Objects: public.expire_old_proposals, cleanup_expired_locks, begin_cleanup, release_reconciliation,
--          announce_cancel, alarm_overdue_executions, report_unread_markets, record_absence, compare_orders, stop_watching, halt_failing_owners,
--          take_notices, end_notices, seal_audit_events, verify_audit_chain, settle_by_hand; interlock.absence_rounds,
--          notices and the triggers that give them.
-- All are definer: the secret key may call them and writes no table by itself.

set local lock_timeout = '5s';
set local statement_timeout = '60s';

create function public.expire_old_proposals() returns jsonb
language plpgsql volatile security definer set search_path = '' set timezone = 'UTC'
as $$
declare
    v_now timestamptz := interlock.clock();
    v_expired bigint;
begin
    perform interlock.act_as('cleanup');
    update public.trade_proposals
    set status = 'EXPIRED'
    where id in (
        select proposal.id
        from public.trade_proposals as proposal
        where proposal.status = 'PENDING' and proposal.expires_at <= v_now
        order by proposal.expires_at
        limit 1000
        for update skip locked
    );
    get diagnostics v_expired = row_count;
    return jsonb_build_object('expired', v_expired::text);
end
$$;
comment on function public.expire_old_proposals() is
    'Marks proposals past their time EXPIRED, at most 1000 a call. One that is being claimed is passed over.';

create function public.cleanup_expired_locks() returns jsonb
language plpgsql volatile security definer set search_path = '' set timezone = 'UTC'
as $$
declare
    c_reservation constant interval := '10 minutes';
    c_most_failures constant integer := 10;
    v_now timestamptz := interlock.clock();
    v_job public.scan_jobs;
    v_call public.gpt_usage_log;
    v_released bigint := 0;
    v_abandoned bigint := 0;
begin
    perform interlock.act_as('cleanup');
    for v_job in
        select job.*
        from public.scan_jobs as job
        where job.lock_expires_at <= v_now
        order by job.lock_expires_at
        limit 1000
        for update skip locked
    loop
        update public.scan_jobs
        set
            locked_at = null,
            locked_by = null,
            lock_expires_at = null,
            lock_token = null,
            consecutive_failures = consecutive_failures + 1,
            enabled = enabled and consecutive_failures + 1 < c_most_failures,
            last_error = left(format(
                '%sworker %s did not finish',
                case when consecutive_failures + 1 >= c_most_failures then 'disabled after ten failures in a row; the last: ' else '' end,
                locked_by
            ), 1000)
        where id = v_job.id;
        perform interlock.write_audit('LOCK_EXPIRED', v_job.user_id, null, null,
            jsonb_build_object('scan_job_id', v_job.id, 'worker', v_job.locked_by));
        v_released := v_released + 1;
    end loop;
    for v_call in
        update public.gpt_usage_log
        set status = 'ABANDONED', success = false, reason = 'its worker did not settle it in time', settled_at = v_now
        where id in (
            select call.id
            from public.gpt_usage_log as call
            where call.status = 'RESERVED' and call.created_at <= v_now - c_reservation
            order by call.created_at
            limit 1000
            for update skip locked
        )
        returning *
    loop
        perform interlock.write_audit('CALL_ABANDONED', v_call.user_id, null, null,
            jsonb_build_object('usage_id', v_call.id, 'scan_job_id', v_call.scan_job_id, 'model', v_call.model));
        v_abandoned := v_abandoned + 1;
    end loop;
    return jsonb_build_object('released', v_released::text, 'abandoned', v_abandoned::text);
end
$$;
comment on function public.cleanup_expired_locks() is
    'Releases jobs whose worker did not finish in time (each counts as a failure of its job), and gives up model calls reserved more than 10 minutes ago (they still count against the budget).';

create function public.begin_cleanup(
    p_instance_id text, p_mode text, p_operator_id bigint, p_trade_key_fingerprint text, p_limit integer
) returns jsonb
language plpgsql volatile security definer set search_path = '' set timezone = 'UTC'
as $$
declare
    c_lease constant interval := '60 seconds';
    c_asked_anew constant interval := '1 hour';
    c_named_a_run constant integer := 20;
    c_overlap constant interval := '10 minutes';
    c_surely_listed constant interval := '60 seconds';
    v_now timestamptz := interlock.clock();
    v_controls public.trading_controls;
    v_account_matches boolean;
    v_executions jsonb;
    v_markets jsonb;
    v_witness jsonb;
begin
    if coalesce(length(p_instance_id), 0) not between 1 and 200 or p_limit is null or p_limit not between 1 and 1000 then
        raise sqlstate 'PT400' using
            message = 'INVALID_CLEANUP', detail = 'A run has a name of 1 to 200 characters and takes 1 to 1000 executions.';
    end if;
    if p_mode is null or p_mode not in ('dry_run', 'live') then
        raise sqlstate 'PT400' using message = 'INVALID_CLEANUP', detail = 'The mode of a run is dry_run or live.';
    end if;
    perform interlock.act_as('cleanup');
    select * into strict v_controls from public.trading_controls where singleton;
    v_account_matches := p_operator_id is not distinct from v_controls.operator_id
        and p_trade_key_fingerprint is not distinct from v_controls.trade_key_fingerprint
        and v_controls.operator_id is not null and v_controls.trade_key_fingerprint is not null;

    -- A market that no policy names any more goes, unless it was traded or read: it can hold no order of ours.
    delete from interlock.market_marks
    where market in (
        select gone.market
        from interlock.market_marks as gone
        where not gone.traded
            and (gone.first_read_at is null or gone.unread = 'REFUSED')
            -- Whoever names it again within the hour has it asked for no sooner.
            and coalesce(gone.asked_at not between v_now - c_asked_anew and v_now, true)
            and gone.market not in (select interlock.allowed_markets())
        for update skip locked
    );
    insert into interlock.market_marks (market, read_to, watched_since)
    select watched.market, v_now - interval '24 hours', v_now
    from interlock.allowed_markets() as watched (market)
    order by watched.market -- runs that overlap wait for each other in one order
    on conflict (market) do nothing;

    with taken as (
        update public.trade_executions as execution
        set next_check_at = v_now + c_lease, checked_by = p_instance_id, check_attempts = execution.check_attempts + 1
        where execution.id in (
            select due.id
            from public.trade_executions as due
            where due.next_check_at <= v_now
                and due.mode = 'live'
                -- Whatever the mode is now, what was sent is settled; without a key nobody can look it up.
                and p_trade_key_fingerprint is not null
            -- What is open comes before what is final and may still grow: an owner waits for the first.
            order by due.settled_at is not null, due.claimed_at
            limit p_limit
            for update skip locked
        )
        returning execution.*
    )
    select coalesce(
        jsonb_agg(interlock.row_json(to_jsonb(taken)) order by taken.settled_at is not null, taken.claimed_at), '[]'
    )
    into v_executions
    from taken;

    -- Of runs that overlap, one compares; a run that may not compare keeps no other from it. What holds live trading back
    -- comes first and whole; of what owners name beside it, so much a run that it cannot use up what a run may ask.
    with holding as materialized (
        select due.market
        from interlock.market_marks as due
        where p_mode = 'live' and v_controls.mode = 'live' and v_account_matches
            and interlock.holds_back(due)
            and due.read_to < v_now - interval '20 seconds'
            and interlock.may_be_asked(due, v_now)
        for update skip locked
    ),
    named as materialized (
        select due.market
        from interlock.market_marks as due
        where p_mode = 'live' and v_controls.mode = 'live' and v_account_matches
            and not interlock.holds_back(due)
            and interlock.may_be_asked(due, v_now)
        order by due.watched_since, due.market
        limit c_named_a_run
        for update skip locked
    ),
    asked as (
        update interlock.market_marks as mark
        set asked_at = v_now
        where mark.market in (select holding.market from holding union all select named.market from named)
        returning mark.market, mark.read_to, interlock.holds_back(mark) as holds_back
    )
    select coalesce(
        jsonb_agg(
            jsonb_build_object(
                'market', asked.market,
                'holds_back', asked.holds_back,
                'read_from_ms', floor(extract(epoch from asked.read_to - c_overlap) * 1000)::bigint::text,
                'expected', (
                    select coalesce(jsonb_agg(known.exchange_order_id), '[]')
                    from (
                        select execution.exchange_order_id
                        from public.trade_executions as execution
                        where execution.trade_key_fingerprint = p_trade_key_fingerprint
                            and execution.operator_id = p_operator_id
                            and execution.market = asked.market
                            and execution.exchange_order_id is not null
                            and execution.status <> 'REJECTED'
                            and execution.claimed_at between asked.read_to - interval '1 hour' and v_now - c_surely_listed
                            and interlock.order_time(execution.response #>> '{body,created}')
                                between asked.read_to - c_overlap and v_now - c_surely_listed
                        order by execution.claimed_at desc
                        limit 100
                    ) as known
                )
            )
            order by asked.holds_back desc, asked.read_to, asked.market
        ),
        '[]'
    )
    into v_markets
    from asked;

    select jsonb_build_object('id', seen.id, 'market', seen.market, 'exchange_order_id', seen.exchange_order_id)
    into v_witness
    from public.trade_executions as seen
    where seen.trade_key_fingerprint = p_trade_key_fingerprint
        and seen.exchange_order_id is not null
        and seen.claimed_at > v_now - interval '6 hours'
        -- A second order under its id hides the first one from look-ups.
        and not exists (
            select from public.audit_events as event where event.execution_id = seen.id and event.event = 'SECOND_ORDER'
        )
    -- One that look-ups have long caught up with is preferred.
    order by seen.claimed_at < v_now - c_surely_listed desc, seen.claimed_at desc
    limit 1;

    return jsonb_build_object(
        'now', v_now,
        'mode', v_controls.mode,
        'mode_matches', p_mode is not distinct from v_controls.mode,
        'account_matches', v_account_matches,
        'account_is_dedicated', v_controls.account_is_dedicated,
        'executions', v_executions,
        'left_waiting', (
            select count(*)::text
            from public.trade_executions as waiting
            where p_trade_key_fingerprint is null
                and waiting.status in ('CLAIMED', 'UNKNOWN', 'OPEN', 'PARTIALLY_FILLED')
                and waiting.mode = 'live'
        ),
        'markets', v_markets,
        'witness', v_witness
    );
end
$$;
comment on function public.begin_cleanup(text, text, bigint, text, integer) is
    'Begins a cleanup run: leases the executions that are due to be looked at, the open ones first and of those the oldest, and the watched markets that are due to be compared, with the time from which their orders must be read and the known orders that a complete read must show. now is the database''s time before any read; witness is a recent order of the same key, which whoever reads that account must see.';

create function public.release_reconciliation(p_execution_id uuid, p_reason text) returns jsonb
language plpgsql volatile security definer set search_path = '' set timezone = 'UTC'
as $$
declare
    v_now timestamptz;
    v_execution public.trade_executions;
begin
    perform interlock.act_as('cleanup');
    select * into v_execution from public.trade_executions as execution where execution.id = p_execution_id for update;
    v_now := interlock.clock();
    if not found then
        raise sqlstate 'PT404' using message = 'EXECUTION_NOT_FOUND', detail = 'There is no such execution.';
    end if;
    if v_execution.next_check_at is null then
        return jsonb_build_object('outcome', 'unchanged', 'next_check_at', null);
    end if;
    -- A fill without its order is a trace: whatever found nothing before, the count begins again.
    if p_reason = 'FILL_LISTED' then
        delete from interlock.absence_rounds where execution_id = p_execution_id;
    end if;
    perform interlock.write_audit('NOTHING_LEARNED', v_execution.user_id, v_execution.proposal_id, v_execution.id,
        jsonb_build_object('reason', left(p_reason, 1000)));
    update public.trade_executions
    set next_check_at = v_now + interlock.check_again_after(check_attempts, v_now - claimed_at)
    where id = p_execution_id
    returning * into v_execution;
    return jsonb_build_object('outcome', 'released', 'next_check_at', v_execution.next_check_at, 'reason', p_reason);
end
$$;
comment on function public.release_reconciliation(uuid, text) is
    'A look-up found nothing or could not be read: nothing is concluded, the audit says why, and the execution is looked at again later, with back-off.';

create function public.announce_cancel(p_execution_id uuid, p_order_id text) returns jsonb
language plpgsql volatile security definer set search_path = '' set timezone = 'UTC'
as $$
declare
    v_execution public.trade_executions;
begin
    if coalesce(length(p_order_id), 0) not between 1 and 200 then
        raise sqlstate 'PT400' using
            message = 'INVALID_CANCEL', detail = 'A cancel names the order that rests, in 1 to 200 characters.';
    end if;
    perform interlock.act_as('cleanup');
    select * into v_execution from public.trade_executions as execution where execution.id = p_execution_id;
    if not found then
        raise sqlstate 'PT404' using message = 'EXECUTION_NOT_FOUND', detail = 'There is no such execution.';
    end if;
    perform interlock.write_audit('CANCEL_ANNOUNCED', v_execution.user_id, v_execution.proposal_id, v_execution.id,
        jsonb_build_object('market', v_execution.market, 'order_id', p_order_id, 'status', v_execution.status));
    return jsonb_build_object('outcome', 'announced');
end
$$;
comment on function public.announce_cancel(uuid, text) is
    'Called before the exchange is asked to cancel an order that rests against expectation: the audit has it whatever becomes of the request or of the run. No state is recorded; only a look-up tells one.';

create function public.alarm_overdue_executions() returns jsonb
language plpgsql volatile security definer set search_path = '' set timezone = 'UTC'
as $$
declare
    v_now timestamptz := interlock.clock();
    v_told public.trade_executions;
    v_facts jsonb;
    v_overdue jsonb := '[]';
    v_standing jsonb;
    v_comparison jsonb;
begin
    perform interlock.act_as('cleanup');
    for v_told in
        with told as (
            update public.trade_executions as execution
            set alarmed_at = v_now
            where execution.id in (
                select open.id
                from public.trade_executions as open
                where open.status in ('CLAIMED', 'UNKNOWN', 'OPEN', 'PARTIALLY_FILLED')
                    and open.mode = 'live'
                    and open.claimed_at < v_now - interval '10 minutes'
                    and coalesce(open.alarmed_at not between v_now - interval '6 hours' and v_now + interval '10 seconds', true)
                order by open.claimed_at
                limit 100
                for update skip locked
            )
            returning execution.*
        )
        select told.* from told order by told.claimed_at
    loop
        v_facts := jsonb_build_object(
            'market', v_told.market,
            'status', v_told.status,
            'minutes', floor(extract(epoch from v_now - v_told.claimed_at) / 60)::bigint::text
        );
        perform interlock.write_audit('EXECUTION_OVERDUE', v_told.user_id, v_told.proposal_id, v_told.id, v_facts);
        v_overdue := v_overdue || jsonb_build_array(v_facts || jsonb_build_object('execution_id', v_told.id));
    end loop;
    select jsonb_build_object(
        'unsettled', count(*)::text,
        'unknown', (count(*) filter (where open.status = 'UNKNOWN'))::text,
        'oldest_seconds', floor(extract(epoch from v_now - min(open.claimed_at)))::bigint::text
    )
    into v_standing
    from public.trade_executions as open
    where open.status in ('CLAIMED', 'UNKNOWN', 'OPEN', 'PARTIALLY_FILLED') and open.mode = 'live';

    select interlock.comparison_json(controls, v_now) into v_comparison
    from public.trading_controls as controls
    where controls.singleton;
    -- One of several runs writes it: once in 6 hours, and again when orders were compared since.
    if (v_comparison -> 'stale')::boolean
        and pg_try_advisory_xact_lock(interlock.lock_class('stale comparison'), 0)
        and not exists (
            select from public.audit_events as event
            where event.event = 'COMPARISON_STALE'
                and event.at > greatest((v_comparison ->> 'reconciled_at')::timestamptz, v_now - interval '6 hours')
        ) then
        perform interlock.write_audit('COMPARISON_STALE', null, null, null, v_comparison);
    end if;
    return v_standing || jsonb_build_object('overdue', v_overdue, 'comparison', v_comparison);
end
$$;
comment on function public.alarm_overdue_executions() is
    'Live executions whose fate is open for more than 10 minutes, each once in 6 hours and in the audit, whether or not the exchange can be asked: somebody has to be told. Beside them how many are unsettled or UNKNOWN, how old the oldest is, and how old the comparison; that it became too old for live trading is in the audit as well.';

create function public.report_unread_markets(p_unread jsonb) returns jsonb
language plpgsql volatile security definer set search_path = '' set timezone = 'UTC'
as $$
declare
    c_told_anew constant interval := '6 hours';
    v_now timestamptz := interlock.clock();
    v_mark interlock.market_marks;
    v_told jsonb := '[]';
    v_named_told boolean;
begin
    if jsonb_typeof(p_unread) is distinct from 'object' or exists (
        select from jsonb_each(p_unread) as item
        where jsonb_typeof(item.value) <> 'string' or item.value #>> '{}' not in ('REFUSED', 'UNREADABLE', 'BLIND')
    ) then
        raise sqlstate 'PT400' using
            message = 'INVALID_REPORT', detail = 'A report says of each market whether it was REFUSED, UNREADABLE or BLIND.';
    end if;
    perform interlock.act_as('cleanup');
    v_named_told := exists (
        select from public.audit_events as event
        where event.event = 'MARKET_UNREAD' and event.at > v_now - c_told_anew and event.detail -> 'holds_back' = 'false'
    );
    for v_mark in
        with reported as (
            update interlock.market_marks as mark
            set unread = item.value
            from jsonb_each_text(p_unread) as item
            where mark.market = item.key
            returning mark.*
        )
        select reported.* from reported order by reported.traded desc, reported.market
    loop
        -- Of what only owners name, one report in that time is told: they could name something else every minute.
        continue when case
            when interlock.holds_back(v_mark) then exists (
                select from public.audit_events as event
                where event.event = 'MARKET_UNREAD' and event.at > v_now - c_told_anew
                    and event.detail ->> 'market' = v_mark.market
            )
            else v_named_told
        end;
        perform interlock.write_audit('MARKET_UNREAD', null, null, null, jsonb_build_object(
            'market', v_mark.market, 'why', v_mark.unread, 'holds_back', interlock.holds_back(v_mark)));
        v_told := v_told || jsonb_build_object(
            'market', v_mark.market, 'why', v_mark.unread, 'holds_back', interlock.holds_back(v_mark));
    end loop;
    return jsonb_build_object('told', v_told);
end
$$;
comment on function public.report_unread_markets(jsonb) is
    'What a run set out to read and could not, and why. told are those of which a person should hear now: each once in 6 hours, and of those that hold nothing back, what one report names. They are in the audit as MARKET_UNREAD.';

create table interlock.absence_rounds (
    execution_id uuid primary key references public.trade_executions (id) on delete restrict,
    ended_ms bigint not null,
    recorded_at timestamptz not null
);
comment on table interlock.absence_rounds is
    'The first complete round of reads that did not find an execution''s order. A second one must agree before NOT_PLACED is concluded.';

comment on column interlock.absence_rounds.execution_id is 'The execution whose order was not found.';
comment on column interlock.absence_rounds.ended_ms is 'When the round ended, on the exchange''s clock, ms.';
comment on column interlock.absence_rounds.recorded_at is 'When it was recorded, on the database''s clock.';
alter table interlock.absence_rounds enable row level security;
create policy nobody_reads on interlock.absence_rounds for select to service_role using (false);

create function public.record_absence(
    p_execution_id uuid,
    p_trade_key_fingerprint text,
    p_exchange_url text,
    p_run_started_at timestamptz,
    p_began_ms bigint,
    p_ended_ms bigint
) returns jsonb
language plpgsql volatile security definer set search_path = '' set timezone = 'UTC' set lock_timeout = '2s'
as $$
declare
    c_beyond_the_window constant bigint := 60000;
    c_judged_within constant bigint := 24 * 60 * 60 * 1000;
    c_apart constant interval := '30 seconds';
    v_now timestamptz;
    v_execution public.trade_executions;
    v_first interlock.absence_rounds;
    v_refusal text;
    v_answer jsonb;
begin
    if p_run_started_at is null or p_began_ms is null or p_ended_ms is null
        or p_began_ms not between 1500000000000 and p_ended_ms or p_ended_ms > 9999999999999 then
        raise sqlstate 'PT400' using
            message = 'INVALID_ROUND', detail = 'A round names when its run started and when it began and ended at the exchange, in ms.';
    end if;
    perform interlock.act_as('cleanup');
    select * into v_execution from public.trade_executions as execution where execution.id = p_execution_id for update;
    if not found then
        raise sqlstate 'PT404' using message = 'EXECUTION_NOT_FOUND', detail = 'There is no such execution.';
    end if;
    v_now := interlock.clock();
    -- GUARD: absence answers an open question; it never replaces an order or a conclusion.
    if v_execution.status not in ('CLAIMED', 'UNKNOWN') then
        return jsonb_build_object('outcome', 'unchanged', 'execution', interlock.execution_json(v_execution));
    end if;
    v_refusal := case
        when v_execution.exchange_order_id is not null then 'its order is known'
        when v_execution.trade_key_fingerprint is distinct from p_trade_key_fingerprint then 'another key'
        when v_execution.exchange_url is distinct from p_exchange_url then 'another exchange'
        when p_run_started_at > v_now then 'the run started in the future'
        when p_began_ms < v_execution.access_timestamp + v_execution.access_window_ms + c_beyond_the_window then 'too early'
        when p_began_ms >= v_execution.access_timestamp + c_judged_within
            or v_now >= v_execution.claimed_at + c_judged_within * interval '1 millisecond' then 'older than a day'
    end;
    if v_refusal is not null then
        return jsonb_build_object('outcome', 'refused', 'reason', v_refusal, 'execution', interlock.execution_json(v_execution));
    end if;

    select * into v_first from interlock.absence_rounds as first where first.execution_id = p_execution_id;
    if v_first.execution_id is null or p_ended_ms < v_first.ended_ms then
        -- The first round, or the exchange's clock was set back since: then this one is the first.
        insert into interlock.absence_rounds (execution_id, ended_ms, recorded_at)
        values (p_execution_id, p_ended_ms, v_now)
        on conflict (execution_id) do update set ended_ms = excluded.ended_ms, recorded_at = excluded.recorded_at;
        update public.trade_executions set next_check_at = v_now + c_apart where id = p_execution_id;
        perform interlock.write_audit('NOTHING_LEARNED', v_execution.user_id, v_execution.proposal_id, v_execution.id,
            jsonb_build_object('reason', 'FIRST_ROUND', 'ended_ms', p_ended_ms::text));
        return jsonb_build_object('outcome', 'first_round', 'execution', interlock.execution_json(v_execution));
    end if;
    if p_began_ms < v_first.ended_ms + 30000 or p_run_started_at < v_first.recorded_at + c_apart then
        update public.trade_executions set next_check_at = v_first.recorded_at + c_apart where id = p_execution_id;
        perform interlock.write_audit('NOTHING_LEARNED', v_execution.user_id, v_execution.proposal_id, v_execution.id,
            jsonb_build_object('reason', 'TOO_SOON', 'ended_ms', p_ended_ms::text));
        return jsonb_build_object('outcome', 'too_soon', 'execution', interlock.execution_json(v_execution));
    end if;
    perform interlock.write_audit('ABSENT', v_execution.user_id, v_execution.proposal_id, v_execution.id,
        jsonb_build_object(
            'first_round', jsonb_build_object('ended_ms', v_first.ended_ms::text, 'recorded_at', v_first.recorded_at),
            'second_round', jsonb_build_object('began_ms', p_began_ms::text, 'ended_ms', p_ended_ms::text, 'run_started_at', p_run_started_at),
            'exchange', p_exchange_url));
    return interlock.apply_outcome(v_execution, 'not_placed', null, null, 'ABSENT', v_now) || '{"outcome": "concluded"}';
end
$$;
comment on function public.record_absence(uuid, text, text, timestamptz, bigint, bigint) is
    'One complete round of reads that did not find an execution''s order. Two rounds at least 30 s apart on both clocks, begun after the window and a minute, with the key and at the exchange of the claim, within a day, conclude NOT_PLACED. Anything less concludes nothing.';

create function public.stop_watching(p_market text, p_who text, p_reason text) returns jsonb
language plpgsql volatile security definer set search_path = '' set timezone = 'UTC' set lock_timeout = '2s'
as $$
begin
    if coalesce(length(trim(p_who)), 0) = 0 or coalesce(length(trim(p_reason)), 0) = 0
        or length(p_who) > 200 or length(p_reason) > 1000 then
        raise sqlstate 'PT400' using
            message = 'INVALID_CHANGE',
            detail = 'Whoever stops watching a market says who they are and why, in at most 200 and 1000 characters.';
    end if;
    perform interlock.act_as('operator');
    -- GUARD: gate before the check, or a claim that is open could trade the market after it.
    perform pg_advisory_xact_lock(interlock.lock_class('global gate'), 0);
    if p_market in (select interlock.allowed_markets()) or exists (
        select from public.trade_executions as execution
        where execution.market = p_market
            and execution.status in ('CLAIMED', 'UNKNOWN', 'OPEN', 'PARTIALLY_FILLED')
            and execution.mode = 'live'
    ) then
        raise sqlstate 'PT409' using
            message = 'MARKET_IN_USE', detail = 'An owner allows this market, or an execution in it is unsettled: it stays watched.';
    end if;
    delete from interlock.market_marks where market = p_market;
    if not found then
        raise sqlstate 'PT404' using message = 'MARKET_NOT_WATCHED', detail = 'This market is not watched.';
    end if;
    perform interlock.write_audit('WATCH_ENDED', null, null, null,
        jsonb_build_object('market', p_market, 'who', p_who, 'reason', p_reason));
    return jsonb_build_object('outcome', 'stopped', 'market', p_market);
end
$$;
comment on function public.stop_watching(text, text, text) is
    'The operator ends the comparison of a market that the exchange no longer has and nobody may trade: unread, it would keep live trading stopped. Audited with name and reason.';

create function interlock.failing_reason(p_user_id uuid, p_since timestamptz, p_now timestamptz) returns text
language sql stable set search_path = ''
as $$
    with since as (
        select
            greatest(p_since, p_now - interval '60 minutes') as an_hour_ago,
            greatest(p_since, p_now - interval '24 hours') as a_day_ago
    ),
    -- No count reads further than what it needs to know, however much an owner has written.
    unknown as (
        select
        from public.audit_events as event, since
        where event.user_id = p_user_id and event.event = 'EXECUTION_UNKNOWN' and event.at > since.an_hour_ago
        limit 3
    ),
    skewed as (
        select
        from public.audit_events as event, since
        where event.user_id = p_user_id
            and event.event in ('EXECUTION_UNKNOWN', 'EXECUTION_REJECTED', 'EXECUTION_NOT_PLACED')
            and event.at > since.an_hour_ago
            and event.detail #>> '{error_code,1}' in ('CLOCK_SKEW', '304')
        limit 5
    ),
    -- The last five times are kept of each refusal.
    refused as (
        select
        from (
            select refusal.recent_at
            from public.trade_refusals as refusal, since
            where refusal.user_id = p_user_id and refusal.clock_skew and refusal.last_at > since.an_hour_ago
            limit 5
        ) as latest
        cross join unnest(latest.recent_at) as happened (at)
        cross join since
        where happened.at > since.an_hour_ago
    ),
    -- Of a hundred refusals with fewer than fifty codes, three have the same one.
    rejected as (
        select event.detail #>> '{error_code,1}' as code
        from public.audit_events as event, since
        where event.user_id = p_user_id and event.event = 'EXECUTION_REJECTED' and event.at > since.a_day_ago
            -- Too little to sell or to pay with is no fault of anything.
            and event.detail #>> '{error_code,1}' is distinct from '216'
        limit 100
    )
    select case
        when (select count(*) from unknown) >= 3 then 'three executions of unknown fate within 60 minutes'
        when (select count(*) from skewed) + (select count(*) from refused) >= 5
            then 'five times within 60 minutes a clock was off (CLOCK_SKEW or 304)'
        else (
            select format('three refusals by the exchange with code %s within 24 hours', rejected.code)
            from rejected
            group by rejected.code
            having count(*) >= 3
            order by 1
            limit 1
        )
    end
$$;
comment on function interlock.failing_reason(uuid, timestamptz, timestamptz) is
    'Why an owner''s trading should halt by itself, counted since the state was last loosened; null when nothing does. Refusals that the owner can make at will are counted in trade_refusals.';

create function public.halt_failing_owners() returns jsonb
language plpgsql volatile security definer set search_path = '' set timezone = 'UTC' set lock_timeout = '2s'
as $$
declare
    v_now timestamptz := interlock.clock();
    v_owner public.trading_policies;
    v_reason text;
    v_halted jsonb := '[]';
begin
    perform interlock.act_as('cleanup');
    for v_owner in
        select policy.*
        from public.trading_policies as policy
        join public.trading_owners as owner on owner.user_id = policy.user_id
        order by policy.user_id -- runs that overlap wait for each other in one order
    loop
        v_reason := interlock.failing_reason(v_owner.user_id, v_owner.loosened_at, v_now);
        -- What is halted for this reason already is not halted again each minute; for another one it is.
        continue when v_reason is null
            or (v_owner.trading_state = 'HALTED' and interlock.names_reason(v_owner.state_reason, v_reason));
        begin
            perform pg_advisory_xact_lock(interlock.lock_class('user gate'), hashtext(v_owner.user_id::text));
            update public.trading_policies
            set trading_state = 'HALTED', state_reason = v_reason
            where user_id = v_owner.user_id
                -- A run that overlaps was first.
                and not (trading_state = 'HALTED' and interlock.names_reason(state_reason, v_reason))
                -- Who loosened while this run waited for the gate has begun a new count.
                and loosened_at = v_owner.loosened_at;
            if found then
                v_halted := v_halted || jsonb_build_array(jsonb_build_object('user_id', v_owner.user_id, 'reason', v_reason));
            end if;
        exception
            when lock_not_available or deadlock_detected then
                null; -- the next run, a minute later, tries again
        end;
    end loop;
    return jsonb_build_object('halted', v_halted);
end
$$;
comment on function public.halt_failing_owners() is
    'Halts the trading of every owner whose executions keep failing; only a person lifts it.';


create function interlock.shows_an_operator(p_order jsonb) returns boolean
language sql immutable parallel safe set search_path = ''
as $$
    -- The least number there is stands for none in recorded orders.
    select coalesce(p_order ->> 'operatorId', '-9223372036854775808') <> '-9223372036854775808'
$$;
comment on function interlock.shows_an_operator(jsonb) is 'Does an order object say by which operatorId it was sent?';

create function public.compare_orders(
    p_market text,
    p_read_started_at timestamptz,
    p_read_from_ms bigint,
    p_read_to_ms bigint,
    p_orders jsonb,
    p_operator_ids_shown boolean default null
) returns jsonb
language plpgsql volatile security definer set search_path = '' set timezone = 'UTC' set lock_timeout = '2s'
as $$
declare
    v_now timestamptz;
    v_mark interlock.market_marks;
    v_orders jsonb;
    v_order jsonb;
    v_execution public.trade_executions;
    v_answer jsonb;
    v_dedicated boolean;
    v_newly_hidden boolean := false;
    v_explained bigint := 0;
    v_contradicted jsonb := '[]';
    v_intruders jsonb := '[]';
    v_new_intruders jsonb := '[]';
    v_client_id uuid;
    v_amount numeric;
    v_quote numeric;
begin
    if p_read_started_at is null or p_read_from_ms is null or p_read_to_ms is null
        or p_read_from_ms not between 0 and p_read_to_ms or p_read_to_ms > 9999999999999
        or jsonb_typeof(p_orders) is distinct from 'array' then
        raise sqlstate 'PT400' using
            message = 'INVALID_COMPARISON', detail = 'A comparison names when and from where to where a market was read, and a list of orders.';
    end if;
    -- GUARD: a read with an order that cannot be told from another is no complete read; the mark stays and live trading stops.
    if exists (
        select from jsonb_array_elements(p_orders) as item
        where jsonb_typeof(item.value) <> 'object' or coalesce(length(item.value ->> 'orderId'), 0) not between 1 and 200
    ) then
        raise sqlstate 'PT400' using
            message = 'INVALID_COMPARISON', detail = 'Each order of a comparison is an object with an orderId.';
    end if;
    perform interlock.act_as('cleanup');
    select controls.account_is_dedicated into strict v_dedicated from public.trading_controls as controls where controls.singleton;
    -- An order that does not say whose it is, is ours by its clientOrderId, or because everything in the account is.
    select coalesce(jsonb_agg(item.value order by item.ordinality), '[]') into v_orders
    from jsonb_array_elements(p_orders) with ordinality as item
    where v_dedicated or interlock.shows_an_operator(item.value) or exists (
        select from public.trade_executions as execution where execution.id = interlock.as_uuid(item.value ->> 'clientOrderId')
    );
    -- Gate before rows: an order that tells something new may halt, and asks for the gate first.
    if exists (
        select
        from jsonb_array_elements(v_orders) as item
        left join public.trade_executions as execution on execution.id = interlock.as_uuid(item.value ->> 'clientOrderId')
        where execution.id is null
            or execution.exchange_order_id is distinct from item.value ->> 'orderId'
            or interlock.as_decimal(item.value ->> 'filledAmount') is distinct from execution.filled_amount
            or interlock.as_decimal(item.value ->> 'feePaid') is distinct from execution.fee
            or interlock.order_misfit(item.value, execution) is not null
    ) then
        perform interlock.ask_for_the_gate();
    end if;
    perform set_config('interlock.gate_waived', 'on', true);
    select * into v_mark from interlock.market_marks as mark where mark.market = p_market for update;
    if not found then
        raise sqlstate 'PT404' using message = 'MARKET_NOT_WATCHED', detail = 'This market is not watched.';
    end if;
    -- All rows before the first halt: one who holds a row and waits for the controls would be waited for.
    perform
    from public.trade_executions as execution
    where execution.id in (select interlock.as_uuid(item.value ->> 'clientOrderId') from jsonb_array_elements(v_orders) as item)
    order by execution.id
    for update;
    v_now := interlock.clock();
    if p_read_started_at > v_now then
        raise sqlstate 'PT400' using message = 'INVALID_COMPARISON', detail = 'A read cannot have started in the future.';
    end if;

    for v_order in select item.value from jsonb_array_elements(v_orders) as item loop
        v_client_id := interlock.as_uuid(v_order ->> 'clientOrderId');
        select * into v_execution from public.trade_executions as execution where execution.id = v_client_id;
        if v_execution.id is not null
            and interlock.order_misfit(v_order, v_execution) is null
            and (
                v_execution.exchange_order_id = v_order ->> 'orderId'
                or (v_execution.exchange_order_id is null and v_execution.status in ('CLAIMED', 'UNKNOWN', 'NOT_PLACED', 'REJECTED'))
            ) then
            v_answer := interlock.apply_outcome(v_execution, 'placed', v_order, null, null, v_now);
            if v_answer ->> 'outcome' = 'contradicted' then
                v_contradicted := v_contradicted || jsonb_build_array(v_execution.id);
            end if;
            v_explained := v_explained + 1;
            continue;
        end if;
        -- A dry run sends nothing: an order under its id belongs to nobody, and counts in live mode.
        if v_execution.mode = 'live' and interlock.order_misfit(v_order, v_execution) is null then
            perform interlock.apply_outcome(v_execution, 'placed', v_order, null, null, v_now);
        else
            v_amount := interlock.as_decimal(v_order ->> 'filledAmount');
            v_quote := case when interlock.as_decimal(v_order ->> 'filledAmountQuote') >= 0
                then interlock.as_decimal(v_order ->> 'filledAmountQuote') end;
            update public.trade_history as history
            set
                amount = greatest(history.amount, v_amount),
                amount_quote = greatest(history.amount_quote, v_quote),
                fee = greatest(history.fee, interlock.as_decimal(v_order ->> 'feePaid'))
            where history.execution_id is null
                and history.exchange_order_id = v_order ->> 'orderId'
                and history.market = p_market
                and (
                    history.amount < v_amount or history.amount_quote < v_quote
                    or history.fee < interlock.as_decimal(v_order ->> 'feePaid')
                );
            if v_amount > 0 and v_order ->> 'side' in ('buy', 'sell') and not exists (
                select from public.trade_history as history
                where history.execution_id is null
                    and history.exchange_order_id = v_order ->> 'orderId'
                    and history.market = p_market
            ) then
                insert into public.trade_history (
                    user_id, asset, market, side, amount, amount_quote, fee, fee_currency, exchange_order_id, executed_at
                ) values (
                    null, split_part(p_market, '-', 1), p_market, v_order ->> 'side', v_amount,
                    -- What cannot be read is left out: it must not keep the halt from being written.
                    v_quote,
                    interlock.as_decimal(v_order ->> 'feePaid'), v_order ->> 'feeCurrency',
                    v_order ->> 'orderId', coalesce(interlock.order_time(v_order ->> 'updated'), v_now)
                );
            end if;
        end if;
        v_intruders := v_intruders || jsonb_build_array(v_order ->> 'orderId');
        if not exists (
            select from public.audit_events as event
            where event.event = 'INTRUDER' and event.detail ->> 'order_id' = v_order ->> 'orderId'
                and event.detail ->> 'market' = p_market
        ) then
            perform interlock.write_audit('INTRUDER', v_execution.user_id, v_execution.proposal_id, v_execution.id,
                jsonb_build_object(
                    'market', p_market, 'order_id', v_order ->> 'orderId', 'order', v_order,
                    'execution', case when v_execution.id is not null then interlock.execution_json(v_execution) end));
            perform interlock.halt(format('order %s in %s has no approval', v_order ->> 'orderId', p_market));
            v_new_intruders := v_new_intruders || jsonb_build_array(v_order ->> 'orderId');
        end if;
    end loop;

    perform set_config('interlock.gate_waived', '', true);

    -- Told once, not of each market and not each time that a list happens to hold none.
    if not (p_operator_ids_shown or v_dedicated)
        and not exists (select from interlock.markets_without_operator_ids())
        and not exists (
            select from public.audit_events as event
            where event.event = 'OPERATOR_IDS_NOT_SHOWN' and event.at > v_now - interval '24 hours'
        ) then
        perform interlock.write_audit('OPERATOR_IDS_NOT_SHOWN', null, null, null, jsonb_build_object('market', p_market));
        v_newly_hidden := true;
    end if;
    -- The mark moves only if this read joins the last one without a gap.
    if p_read_from_ms <= floor(extract(epoch from v_mark.read_to) * 1000) then
        update interlock.market_marks
        set
            read_to = greatest(read_to, least(p_read_started_at, to_timestamp(p_read_to_ms / 1000.0))),
            first_read_at = coalesce(first_read_at, v_now),
            asked_at = null,
            unread = null,
            operator_ids_hidden_at = case
                when p_operator_ids_shown is null then operator_ids_hidden_at
                when not p_operator_ids_shown then v_now
            end,
            operator_ids_shown_at = case when p_operator_ids_shown then v_now else operator_ids_shown_at end
        where market = p_market;
        update public.trading_controls
        set reconciled_at = (
            select min(mark.read_to) from interlock.market_marks as mark where interlock.holds_back(mark)
        )
        where singleton;
    end if;
    return jsonb_build_object(
        'explained', v_explained::text,
        'contradicted', v_contradicted,
        'intruders', v_intruders,
        'new_intruders', v_new_intruders,
        'operator_ids_newly_hidden', v_newly_hidden,
        'reconciled_at', (select controls.reconciled_at from public.trading_controls as controls where controls.singleton)
    );
end
$$;
comment on function public.compare_orders(text, timestamptz, bigint, bigint, jsonb, boolean) is
    'Orders out = approvals in, for one completely read market: an order with our operatorId, or any in a dedicated account, that no execution explains halts trading, and its fills are stored. One that shows no operatorId counts if its clientOrderId is an execution''s. Moves the market''s mark and reconciled_at.';

-- Notices

create table interlock.notices (
    notice text primary key,
    detail jsonb not null,
    at timestamptz not null,
    tell_at timestamptz not null,
    told bigint not null default 0
);
create index notices_by_time on interlock.notices (tell_at);
comment on table interlock.notices is
    'What a person has to be told: a halt for as long as it stands, again and again; a fill, the end of an unknown fate or a scan that stopped until it was told.';
comment on column interlock.notices.notice is 'What it is of: its kind, and whose or which.';
comment on column interlock.notices.detail is 'The facts that no row keeps.';
comment on column interlock.notices.at is 'When it happened.';
comment on column interlock.notices.tell_at is 'When it is told next.';
comment on column interlock.notices.told is 'How often it was told.';
alter table interlock.notices enable row level security;
create policy nobody_reads on interlock.notices for select to service_role using (false);

create function interlock.give_notice(p_kind text, p_subject text, p_detail jsonb) returns void
language plpgsql volatile set search_path = ''
as $$
declare
    v_now timestamptz := interlock.clock();
begin
    insert into interlock.notices (notice, detail, at, tell_at)
    values (p_kind || ' ' || p_subject, p_detail, v_now, v_now)
    on conflict (notice) do update
    set detail = excluded.detail, at = excluded.at, tell_at = excluded.tell_at, told = 0;
end
$$;
comment on function interlock.give_notice(text, text, jsonb) is 'From now on a person has to be told of this.';

create function interlock.notice_change() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
    case tg_table_name
        when 'trading_controls' then
            if new.trading_state <> 'HALTED' then
                delete from interlock.notices where notice = 'HALTED everybody';
            elsif old.trading_state <> 'HALTED' or new.reason <> old.reason then
                perform interlock.give_notice('HALTED', 'everybody',
                    jsonb_build_object('actor', interlock.actor(), 'reason', new.reason));
            end if;
        when 'trading_policies' then
            if tg_op = 'DELETE' then
                delete from interlock.notices where notice = 'HALTED ' || old.user_id::text;
            elsif new.trading_state <> 'HALTED' then
                delete from interlock.notices where notice = 'HALTED ' || new.user_id::text;
            elsif old.trading_state <> 'HALTED' or new.state_reason <> old.state_reason then
                perform interlock.give_notice('HALTED', new.user_id::text,
                    jsonb_build_object('actor', interlock.actor(), 'reason', new.state_reason, 'user_id', new.user_id));
            end if;
        when 'trade_executions' then
            if new.filled_amount > 0 and not interlock.is_unsettled(new.status)
                and (old.filled_amount = 0 or interlock.is_unsettled(old.status)) then
                perform interlock.give_notice('FILLED', new.id::text, '{}');
            elsif old.status = 'UNKNOWN' and new.status <> 'UNKNOWN' then
                perform interlock.give_notice('SETTLED', new.id::text, '{}');
            end if;
        when 'scan_jobs' then
            if old.enabled and not new.enabled and new.consecutive_failures > old.consecutive_failures then
                perform interlock.give_notice('SCAN_STOPPED', new.id::text,
                    jsonb_build_object('user_id', new.user_id, 'reason', new.last_error));
            end if;
    end case;
    return null;
end
$$;
comment on function interlock.notice_change() is
    'Trigger: what a person has to be told of a change, whoever makes it. Definer: no role but the owner writes the notices.';
create trigger y_notice after update of trading_state, reason on public.trading_controls
for each row execute function interlock.notice_change();
create trigger y_notice after update of trading_state, state_reason or delete on public.trading_policies
for each row execute function interlock.notice_change();
create trigger y_notice after update of status, filled_amount on public.trade_executions
for each row execute function interlock.notice_change();
create trigger y_notice after update of enabled on public.scan_jobs
for each row execute function interlock.notice_change();

create function public.take_notices(p_limit integer default 20) returns jsonb
language plpgsql volatile security definer set search_path = '' set timezone = 'UTC'
as $$
declare
    v_now timestamptz := interlock.clock();
    v_notices jsonb;
begin
    if p_limit is null or p_limit not between 1 and 1000 then
        raise sqlstate 'PT400' using message = 'INVALID_NOTICES', detail = 'A run takes 1 to 1000 notices.';
    end if;
    perform interlock.act_as('cleanup');
    -- What could not be told for a day is no news any more; a halt that stands is.
    delete from interlock.notices where notice not like 'HALTED %' and at < v_now - interval '24 hours';
    with taken as (
        update interlock.notices as taking
        set
            told = taking.told + 1,
            at = least(taking.at, v_now),
            tell_at = v_now + case
                when taking.notice like 'HALTED %'
                    then least(interval '24 hours', interval '10 minutes' * power(4, least(taking.told, 5)))
                else interval '2 minutes'
            end
        where taking.notice in (
            select due.notice
            from interlock.notices as due
            -- A clock that was set back must not keep anything from being told.
            where due.tell_at <= v_now or due.at > v_now + interval '10 seconds'
            -- A halt waits for no other news, however much of that an owner makes.
            order by due.notice not like 'HALTED %', due.tell_at
            limit p_limit
            for update skip locked
        )
        returning taking.*
    )
    select coalesce(
        jsonb_agg(
            jsonb_build_object(
                'notice', taken.notice,
                'kind', split_part(taken.notice, ' ', 1),
                'at', taken.at,
                'told', taken.told::text,
                'user_id', execution.user_id,
                'execution_id', execution.id,
                'market', execution.market,
                'side', execution.side,
                'status', execution.status,
                'amount', execution.filled_amount::text,
                'amount_quote', execution.filled_amount_quote::text,
                'price', case
                    when execution.filled_amount > 0 then round(execution.filled_amount_quote / execution.filled_amount, 8)::text
                end,
                'fee', execution.fee::text,
                'fee_currency', execution.fee_currency,
                'reason', proposal.rationale
            ) || taken.detail
            order by taken.at
        ),
        '[]'
    )
    into v_notices
    from taken
    left join public.trade_executions as execution
        on execution.id = case
            when split_part(taken.notice, ' ', 1) in ('FILLED', 'SETTLED') then interlock.as_uuid(split_part(taken.notice, ' ', 2))
        end
    left join public.trade_proposals as proposal on proposal.id = execution.proposal_id;
    return jsonb_build_object('notices', v_notices);
end
$$;
comment on function public.take_notices(integer) is
    'What a person has to be told now. A halt that stands is told again after ten minutes, and then at growing intervals up to a day, until it is lifted or another reason joins it; anything else again after two minutes, unless end_notices says that it was told. So nothing that happened depends on one answer that may be lost.';

create function public.end_notices(p_notices jsonb) returns jsonb
language plpgsql volatile security definer set search_path = '' set timezone = 'UTC'
as $$
declare
    v_ended bigint;
begin
    if jsonb_typeof(p_notices) is distinct from 'array' then
        raise sqlstate 'PT400' using message = 'INVALID_NOTICES', detail = 'Notices that were told are a list of their names.';
    end if;
    perform interlock.act_as('cleanup');
    delete from interlock.notices
    where notice in (select item.value from jsonb_array_elements_text(p_notices) as item)
        and notice not like 'HALTED %'
        and told > 0;
    get diagnostics v_ended = row_count;
    return jsonb_build_object('ended', v_ended::text);
end
$$;
comment on function public.end_notices(jsonb) is
    'These were told. A halt that stands stays: it ends when a person lifts it.';

-- Seals

create function interlock.event_seal(p_previous text, p_event public.audit_events) returns text
language sql stable set search_path = '' set timezone = 'UTC'
as $$
    select interlock.digest(p_previous || to_jsonb(p_event)::text)
$$;
comment on function interlock.event_seal(text, public.audit_events) is
    'The seal of an event: SHA-256 over the previous seal and the event as jsonb text, in UTC.';

create function public.seal_audit_events(p_limit integer default 1000) returns jsonb
language plpgsql volatile security definer set search_path = '' set timezone = 'UTC'
as $$
declare
    v_now timestamptz;
    v_event public.audit_events;
    v_head text;
    v_sequence bigint;
    v_sealed bigint := 0;
begin
    if p_limit is null or p_limit not between 1 and 10000 then
        raise sqlstate 'PT400' using message = 'INVALID_SEALING', detail = 'A run seals 1 to 10000 events.';
    end if;
    perform pg_advisory_xact_lock(interlock.lock_class('seal'), 0);
    v_now := interlock.clock();
    select seal.sequence, seal.seal into v_sequence, v_head
    from public.audit_seals as seal
    order by seal.sequence desc
    limit 1;
    v_sequence := coalesce(v_sequence, 0);
    v_head := coalesce(v_head, repeat('0', 64));
    for v_event in
        select event.*
        from interlock.unsealed_events as waiting
        join public.audit_events as event on event.id = waiting.event_id
        order by waiting.at, waiting.event_id
        limit p_limit
    loop
        v_sequence := v_sequence + 1;
        insert into public.audit_seals (sequence, event_id, previous_seal, seal, sealed_at)
        values (v_sequence, v_event.id, v_head, interlock.event_seal(v_head, v_event), v_now)
        returning seal into v_head;
        delete from interlock.unsealed_events where event_id = v_event.id;
        v_sealed := v_sealed + 1;
    end loop;
    return jsonb_build_object('sealed', v_sealed::text, 'sequence', v_sequence::text, 'head', v_head);
end
$$;
comment on function public.seal_audit_events(integer) is
    'Seals events that no seal holds yet and answers the head of the chain, which cleanup writes to its log: another trust domain.';

create function public.verify_audit_chain(p_from bigint default 1, p_expected_head text default null, p_limit integer default 10000)
returns jsonb
language plpgsql stable security definer set search_path = '' set timezone = 'UTC'
as $$
declare
    v_seal record;
    v_previous text;
    v_next bigint := p_from;
    v_bad text;
    v_event public.audit_events;
    v_since timestamptz;
    v_until timestamptz;
    v_more boolean;
    v_stray uuid;
begin
    if p_from is null or p_from < 1 or p_limit is null or p_limit not between 1 and 100000 then
        raise sqlstate 'PT400' using message = 'INVALID_VERIFICATION', detail = 'A verification starts at 1 or later and covers 1 to 100000 seals.';
    end if;
    select seal.seal, event.at into v_previous, v_since
    from public.audit_seals as seal
    left join public.audit_events as event on event.id = seal.event_id
    where seal.sequence = p_from - 1;
    if p_from > 1 and not found then
        v_bad := format('seal %s is missing', p_from - 1);
    end if;
    v_previous := coalesce(v_previous, repeat('0', 64));
    for v_seal in
        select seal.* from public.audit_seals as seal where seal.sequence >= p_from order by seal.sequence limit p_limit
    loop
        exit when v_bad is not null;
        select * into v_event from public.audit_events as event where event.id = v_seal.event_id;
        v_bad := case
            when v_seal.sequence <> v_next then format('seal %s is missing', v_next)
            when v_event.id is null then format('the event of seal %s is missing', v_seal.sequence)
            when v_seal.previous_seal <> v_previous then format('seal %s does not follow the one before it', v_seal.sequence)
            when v_seal.seal <> interlock.event_seal(v_previous, v_event) then format('the event of seal %s was changed', v_seal.sequence)
        end;
        v_previous := v_seal.seal;
        v_next := v_next + 1;
        v_until := v_event.at;
    end loop;
    v_more := coalesce((select max(seal.sequence) from public.audit_seals as seal) >= v_next, false);
    if v_bad is null and p_expected_head is not null
        and not exists (select from public.audit_seals as seal where seal.seal = p_expected_head) then
        v_bad := 'the expected head is not in the chain: its tail was cut off';
    end if;
    -- Pieces that follow each other cover all time: each looks at the events between its own last one and that of the
    -- piece before it. Sub-selects that answer a value are looked up event by event, however many seals there are.
    if v_bad is null then
        select event.id into v_stray
        from public.audit_events as event
        where event.at between coalesce(v_since, '-infinity') and case when v_more then v_until else 'infinity' end
            and (select seal.sequence from public.audit_seals as seal where seal.event_id = event.id) is null
            and (select waiting.at from interlock.unsealed_events as waiting where waiting.event_id = event.id) is null
        order by event.at
        limit 1;
        if found then
            v_bad := format('event %s has no seal and waits for none', v_stray);
        end if;
    end if;
    if v_bad is null and not v_more and exists (
        select
        from interlock.unsealed_events as waiting
        where not exists (select from public.audit_events as event where event.id = waiting.event_id)
    ) then
        v_bad := 'an event that waited for its seal is missing';
    end if;
    return jsonb_build_object(
        'whole', v_bad is null, 'error', v_bad, 'verified_to', (v_next - 1)::text, 'head', v_previous,
        'more', v_more
    );
end
$$;
comment on function public.verify_audit_chain(bigint, text, integer) is
    'Walks the chain from a seal on, in pieces: finds a changed event, a missing one, one that was slipped in past the chain, and, given a head from the log, a cut tail.';

create function public.settle_by_hand(
    p_execution_id uuid, p_status text, p_who text, p_reason text, p_evidence jsonb
) returns jsonb
language plpgsql volatile security definer set search_path = '' set timezone = 'UTC' set lock_timeout = '2s'
as $$
declare
    v_now timestamptz;
    v_execution public.trade_executions;
    v_has_order boolean;
    v_shown text;
    v_answer jsonb;
begin
    if coalesce(length(trim(p_who)), 0) = 0 or coalesce(length(trim(p_reason)), 0) = 0
        or length(p_who) > 200 or length(p_reason) > 1000 then
        raise sqlstate 'PT400' using
            message = 'INVALID_SETTLEMENT',
            detail = 'A settlement by hand names who settles and why, in at most 200 and 1000 characters.';
    end if;
    if p_status is null or p_status not in ('FILLED', 'CANCELED', 'REJECTED', 'NOT_PLACED') then
        raise sqlstate 'PT400' using
            message = 'INVALID_SETTLEMENT', detail = 'An execution is settled as FILLED, CANCELED, REJECTED or NOT_PLACED.';
    end if;
    perform interlock.act_as('operator');
    perform interlock.ask_for_the_gate(); -- what the evidence shows may halt
    select * into v_execution from public.trade_executions as execution where execution.id = p_execution_id for update;
    if not found then
        raise sqlstate 'PT404' using message = 'EXECUTION_NOT_FOUND', detail = 'There is no such execution.';
    end if;
    v_now := interlock.clock();
    v_has_order := interlock.order_misfit(p_evidence, v_execution) is null;
    if not interlock.is_unsettled(v_execution.status) then
        perform set_config('interlock.gate_waived', '', true);
        return jsonb_build_object('outcome', 'unchanged', 'execution', interlock.execution_json(v_execution));
    end if;
    if not v_has_order and v_now < to_timestamp(v_execution.access_timestamp / 1000.0) + interval '24 hours' then
        raise sqlstate 'PT409' using
            message = 'TOO_EARLY',
            detail = 'Without the exchange''s own order object as evidence, an execution is settled by hand 24 hours after its access timestamp.';
    end if;
    if p_status in ('FILLED', 'CANCELED') and not v_has_order then
        raise sqlstate 'PT400' using
            message = 'INVALID_SETTLEMENT', detail = 'FILLED and CANCELED need the exchange''s own order object as evidence.';
    end if;
    if v_has_order then
        v_shown := interlock.status_from_exchange(p_evidence ->> 'status', coalesce(p_evidence ->> 'filledAmount', '0')::numeric);
        if v_shown not in (p_status, 'UNKNOWN') then
            raise sqlstate 'PT400' using
                message = 'INVALID_SETTLEMENT', detail = format('The evidence shows %s, not %s.', v_shown, p_status);
        end if;
    elsif v_execution.exchange_order_id is not null then
        raise sqlstate 'PT409' using
            message = 'ORDER_EXISTS', detail = 'The exchange has this order; it is settled by its order object alone.';
    end if;
    perform interlock.write_audit('SETTLED_BY_HAND', v_execution.user_id, v_execution.proposal_id, v_execution.id,
        jsonb_build_object('who', p_who, 'reason', p_reason, 'status', p_status, 'evidence', p_evidence));
    if v_has_order then
        -- A word of the exchange that nobody knows is read as the person says, and so is an order that seems older than
        -- what is stored: the exchange's clock was set back.
        v_answer := interlock.apply_outcome(
            v_execution, 'placed',
            p_evidence - 'updated'
                || case when v_shown = 'UNKNOWN' then jsonb_build_object('status', lower(p_status)) else '{}' end,
            null, null, v_now);
    else
        v_answer := interlock.apply_outcome(
            v_execution, case p_status when 'REJECTED' then 'rejected' else 'not_placed' end, null, null, 'SETTLED_BY_HAND', v_now);
    end if;
    perform set_config('interlock.gate_waived', '', true);
    return v_answer;
end
$$;
comment on function public.settle_by_hand(uuid, text, text, text, jsonb) is
    'A person settles an execution that cleanup could not: with the exchange''s order object as evidence, or 24 hours after its access timestamp. Audited with name and reason.';
