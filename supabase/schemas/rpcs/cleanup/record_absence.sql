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
    'One complete round of reads that did not find an execution''s order. Two rounds at least 30 s apart '
    'on both clocks, begun after the window and a minute, with the key and at the exchange of the claim, '
    'within a day, conclude NOT_PLACED. Anything less concludes nothing.';
