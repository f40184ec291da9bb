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
    'Orders out = approvals in, for one completely read market: an order with our operatorId, or any in a '
    'dedicated account, that no execution explains halts trading, and its fills are stored. One that '
    'shows no operatorId counts if its clientOrderId is an execution''s. Moves the market''s mark and '
    'reconciled_at.';
