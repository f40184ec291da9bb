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
    'A look-up found nothing or could not be read: nothing is concluded, the audit says why, and the '
    'execution is looked at again later, with back-off.';
