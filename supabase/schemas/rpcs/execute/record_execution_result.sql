create function public.record_execution_result(
    p_execution_id uuid,
    p_actor text,
    p_attempt_id uuid,
    p_outcome text,
    p_order jsonb,
    p_response jsonb,
    p_error_code text
) returns jsonb
language plpgsql volatile security definer set search_path = '' set timezone = 'UTC' set lock_timeout = '2s'
as $$
declare
    v_execution public.trade_executions;
    v_gate text := 'not asked';
    v_misfit text;
    v_answer jsonb;
begin
    if p_actor is null or p_actor not in ('execute', 'cleanup') then
        raise sqlstate 'PT400' using message = 'INVALID_RESULT', detail = 'The actor is execute or cleanup.';
    end if;
    if p_outcome is null or p_outcome not in ('placed', 'rejected', 'not_placed', 'unknown') then
        raise sqlstate 'PT400' using
            message = 'INVALID_RESULT', detail = 'The outcome is placed, rejected, not_placed or unknown.';
    end if;
    if length(p_error_code) > 200 then
        raise sqlstate 'PT400' using message = 'INVALID_RESULT', detail = 'An error code has at most 200 characters.';
    end if;
    perform interlock.act_as(p_actor);

    select * into v_execution from public.trade_executions as execution where execution.id = p_execution_id;
    if not found then
        raise sqlstate 'PT404' using message = 'EXECUTION_NOT_FOUND', detail = 'There is no such execution.';
    end if;
    if v_execution.mode = 'dry_run' then
        raise sqlstate 'PT400' using message = 'INVALID_RESULT', detail = 'A dry run has no result.';
    end if;
    if p_outcome = 'placed' then
        v_misfit := interlock.order_misfit(p_order, v_execution);
        if v_misfit is not null then
            raise sqlstate 'PT400' using message = 'INVALID_RESULT', detail = v_misfit;
        end if;
    elsif p_outcome in ('rejected', 'not_placed') and p_attempt_id is distinct from v_execution.attempt_id then
        raise sqlstate 'PT400' using
            message = 'INVALID_RESULT', detail = 'Only the process that claimed can conclude that no order came of it.';
    end if;

    -- Gate before rows: whatever halts lets go of its rows and starts again with the gate.
    loop
        begin
            if v_gate = 'asked for' then
                perform interlock.ask_for_the_gate();
            elsif v_gate = 'waived' then
                perform set_config('interlock.gate_waived', 'on', true);
            end if;
            select * into strict v_execution
            from public.trade_executions as execution
            where execution.id = p_execution_id
            for update;
            v_answer := interlock.apply_outcome(
                v_execution, p_outcome, p_order, p_response, p_error_code, interlock.clock());
            perform set_config('interlock.gate_waived', '', true);
            return v_answer;
        exception
            when sqlstate 'IL001' then
                v_gate := 'asked for';
            when lock_not_available or deadlock_detected then
                -- A claim may hold the proposal's row and wait for the gate: the fact comes first.
                if v_gate <> 'asked for' then
                    raise;
                end if;
                v_gate := 'waived';
        end;
    end loop;
end
$$;
comment on function public.record_execution_result(uuid, text, uuid, text, jsonb, jsonb, text) is
    'Records what the exchange said of an execution. Harmless to repeat; an older record changes nothing; '
    'a fact wins over a conclusion.';
