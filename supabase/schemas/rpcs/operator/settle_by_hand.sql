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
    'A person settles an execution that cleanup could not: with the exchange''s order object as evidence, '
    'or 24 hours after its access timestamp. Audited with name and reason.';
