create function interlock.apply_outcome(
    p_execution public.trade_executions,
    p_outcome text,
    p_order jsonb,
    p_response jsonb,
    p_error_code text,
    p_now timestamptz
) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
    v_old public.trade_executions := p_execution;
    v_new public.trade_executions := p_execution;
    v_filled numeric := coalesce(p_order ->> 'filledAmount', '0')::numeric;
    v_quote numeric := coalesce(p_order ->> 'filledAmountQuote', '0')::numeric;
    v_fee numeric := coalesce(p_order ->> 'feePaid', '0')::numeric;
    v_updated bigint := case when p_order ->> 'updated' ~ '^[0-9]{12,14}$' then (p_order ->> 'updated')::bigint end;
    v_conclusion boolean := p_execution.status in ('NOT_PLACED', 'REJECTED');
    v_contradicted boolean := false;
    v_known boolean;
    v_fee_eur numeric;
    v_rounding numeric;
    v_halt text;
begin
    if p_outcome <> 'placed' then
        -- GUARD: only what is still open takes a conclusion; a fact or a conclusion is never replaced by one.
        if v_old.status not in ('CLAIMED', 'UNKNOWN') or v_old.exchange_order_id is not null
            or (p_outcome = 'unknown' and v_old.status = 'UNKNOWN') then
            return jsonb_build_object('outcome', 'unchanged', 'execution', interlock.execution_json(v_old));
        end if;
        v_new.status := case p_outcome when 'unknown' then 'UNKNOWN' when 'rejected' then 'REJECTED' else 'NOT_PLACED' end;
        v_new.response := coalesce(p_response, v_old.response);
        v_new.error_code := coalesce(p_error_code, v_old.error_code);
    else
        -- A second order under one id is an intruder, whatever its state: its fills are stored and trading stops.
        if v_old.exchange_order_id is not null and v_old.exchange_order_id <> p_order ->> 'orderId' then
            perform interlock.store_fill(v_old, p_order, p_now);
            -- It halts when it is first seen; a person who has looked at it and resumed is not halted again.
            v_known := exists (
                select from public.audit_events as event
                where event.execution_id = v_old.id
                    and event.event = 'SECOND_ORDER'
                    and event.detail #>> '{found,orderId}' = p_order ->> 'orderId'
            );
            if not v_known then
                perform interlock.write_audit('SECOND_ORDER', v_old.user_id, v_old.proposal_id, v_old.id,
                    jsonb_build_object('known', v_old.exchange_order_id, 'found', p_order));
                perform interlock.halt(format('a second order under the id of execution %s', v_old.id));
            end if;
            -- It may hide the execution's own order from look-ups, which the comparison then settles.
            update public.trade_executions
            set next_check_at = p_now + interlock.check_again_after(check_attempts, p_now - claimed_at)
            where id = v_old.id and next_check_at is not null;
            return jsonb_build_object(
                'outcome', case when v_known then 'unchanged' else 'contradicted' end,
                'execution', interlock.execution_json(v_old)
            );
        end if;
        -- GUARD: a record older than the stored one changes nothing.
        if v_updated < v_old.exchange_updated then
            return jsonb_build_object('outcome', 'unchanged', 'execution', interlock.execution_json(v_old));
        end if;
        v_contradicted := v_conclusion and (v_old.status = 'NOT_PLACED' or v_old.exchange_order_id is null
            or interlock.status_from_exchange(p_order ->> 'status', v_filled) <> 'REJECTED');
        v_new.exchange_order_id := p_order ->> 'orderId';
        v_new.exchange_updated := coalesce(v_updated, v_old.exchange_updated);
        v_new.filled_amount := greatest(v_old.filled_amount, v_filled);
        v_new.filled_amount_quote := greatest(v_old.filled_amount_quote, v_quote);
        v_new.fee := case when v_old.filled_amount = 0 then v_fee else greatest(v_old.fee, v_fee) end;
        v_new.fee_currency := coalesce(p_order ->> 'feeCurrency', v_old.fee_currency);
        v_new.fills_settled := v_old.fills_settled or interlock.fills_are_settled(p_order, v_filled);
        v_fee_eur := interlock.fee_in_eur(
            v_new.fee, v_new.fee_currency, v_new.market, v_new.filled_amount, v_new.filled_amount_quote);
        -- Each fill may be rounded to the cent. An order that does not list them had those that were reckoned with.
        v_rounding := coalesce(
            case jsonb_typeof(p_order -> 'fills') when 'array' then nullif(jsonb_array_length(p_order -> 'fills'), 0) end * 0.01,
            interlock.rounding_room(v_old.order_value));
        v_new.response := jsonb_build_object('http_status', coalesce(p_response -> 'http_status', '"200"'), 'body', p_order);
        v_new.status := interlock.status_from_exchange(p_order ->> 'status', v_filled);
        if not v_contradicted and not (
            (v_old.status = 'CLAIMED' and v_new.status <> 'CLAIMED')
            or v_old.status = 'UNKNOWN'
            or (v_old.status = 'OPEN' and v_new.status in ('PARTIALLY_FILLED', 'FILLED', 'CANCELED'))
            or (v_old.status = 'PARTIALLY_FILLED' and v_new.status in ('FILLED', 'CANCELED'))
        ) then
            v_new.status := v_old.status;
        end if;
        if v_contradicted then
            v_halt := format('execution %s was concluded %s, but the exchange has its order', v_old.id, v_old.status);
        elsif (v_new.filled_amount, v_new.filled_amount_quote, v_new.fee, v_new.fee_currency)
            is not distinct from (v_old.filled_amount, v_old.filled_amount_quote, v_old.fee, v_old.fee_currency) then
            null; -- nothing new: whoever resumed after an earlier record is not halted again
        elsif v_new.filled_amount > ((v_old.request ->> 'body')::jsonb ->> 'amount')::numeric then
            v_halt := format('execution %s filled more than was ordered', v_old.id);
            perform interlock.write_audit('OVERFILLED', v_old.user_id, v_old.proposal_id, v_old.id,
                jsonb_build_object('ordered', (v_old.request ->> 'body')::jsonb, 'found', p_order));
        elsif v_fee_eur > v_new.filled_amount_quote * interlock.taker_fee() + v_rounding then
            v_halt := format('execution %s paid a dearer fee than 0.25 %%', v_old.id);
            perform interlock.write_audit('DEARER_FEE', v_old.user_id, v_old.proposal_id, v_old.id,
                jsonb_build_object('ordered', (v_old.request ->> 'body')::jsonb, 'found', p_order));
        elsif v_old.side = 'buy' and v_old.order_value
            < v_new.filled_amount_quote + (case v_new.fee_currency when 'EUR' then v_new.fee else 0 end) then
            v_halt := format('execution %s spent more than was approved', v_old.id);
            perform interlock.write_audit('OVERSPENT', v_old.user_id, v_old.proposal_id, v_old.id,
                jsonb_build_object('ordered', (v_old.request ->> 'body')::jsonb, 'found', p_order));
        end if;
        -- Nobody can say whether it is fair, but it took no EUR: it is told, and counted as the most, and halts nobody.
        if v_fee_eur is null and (v_new.fee_currency is not null or v_new.fills_settled) and not (
            v_old.fee_eur is null and (v_old.fee_currency is not null or v_old.fills_settled)
        ) then
            perform interlock.write_audit('UNVALUED_FEE', v_old.user_id, v_old.proposal_id, v_old.id,
                jsonb_build_object('ordered', (v_old.request ->> 'body')::jsonb, 'found', p_order));
        end if;
    end if;

    v_new.settled_at := case
        when interlock.is_unsettled(v_new.status) then null
        else coalesce(v_old.settled_at, p_now)
    end;
    v_new.check_attempts := case when v_new.status <> v_old.status then 0 else v_old.check_attempts end;
    v_new.next_check_at := case
        when v_new.status = 'CLAIMED' then v_old.next_check_at
        when v_new.status in ('NOT_PLACED', 'REJECTED') and v_new.exchange_order_id is null then null
        when not interlock.is_unsettled(v_new.status) and p_now < v_new.settled_at + interval '2 minutes'
            then p_now + interval '30 seconds'
        when not interlock.is_unsettled(v_new.status) and v_new.fills_settled then null
        else p_now + interlock.check_again_after(v_new.check_attempts, p_now - v_old.claimed_at)
    end;
    if to_jsonb(v_new) is distinct from to_jsonb(v_old) then
        update public.trade_executions
        set
            status = v_new.status,
            response = v_new.response,
            error_code = v_new.error_code,
            exchange_order_id = v_new.exchange_order_id,
            exchange_updated = v_new.exchange_updated,
            filled_amount = v_new.filled_amount,
            filled_amount_quote = v_new.filled_amount_quote,
            fee = v_new.fee,
            fee_currency = v_new.fee_currency,
            fills_settled = v_new.fills_settled,
            settled_at = v_new.settled_at,
            next_check_at = v_new.next_check_at,
            check_attempts = v_new.check_attempts
        where id = v_old.id
        returning * into v_new;
    end if;
    if p_outcome = 'placed' then
        perform interlock.store_fill(v_new, p_order, p_now);
    end if;
    update public.trade_proposals
    set status = interlock.proposal_status_for(v_new.status)
    where id = v_new.proposal_id and status <> interlock.proposal_status_for(v_new.status);

    if v_contradicted then
        perform interlock.write_audit('CONTRADICTED', v_old.user_id, v_old.proposal_id, v_old.id,
            jsonb_build_object('concluded', v_old.status, 'order', p_order));
    end if;
    if v_halt is not null then
        perform interlock.halt(v_halt);
    end if;
    return jsonb_build_object(
        'outcome', case when v_contradicted then 'contradicted' else 'recorded' end,
        'execution', interlock.execution_json(v_new)
    );
end
$$;
comment on function interlock.apply_outcome(public.trade_executions, text, jsonb, jsonb, text, timestamptz) is
    'Moves a locked execution by the state diagram, its proposal and its history with it. A fact wins '
    'over a conclusion, is audited as CONTRADICTED and halts trading.';
