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
    'Begins a cleanup run: leases the executions that are due to be looked at, the open ones first and of '
    'those the oldest, and the watched markets that are due to be compared, with the time from which '
    'their orders must be read and the known orders that a complete read must show. now is the '
    'database''s time before any read; witness is a recent order of the same key, which whoever reads '
    'that account must see.';
