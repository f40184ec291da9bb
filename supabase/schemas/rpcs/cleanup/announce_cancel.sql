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
    'Called before the exchange is asked to cancel an order that rests against expectation: the audit has '
    'it whatever becomes of the request or of the run. No state is recorded; only a look-up tells one.';
