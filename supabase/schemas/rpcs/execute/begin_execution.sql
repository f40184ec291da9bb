create function public.begin_execution(
    p_user_id uuid,
    p_proposal_id uuid,
    p_mode text,
    p_operator_id bigint,
    p_trade_key_fingerprint text,
    p_override_cooldown boolean,
    p_override_anti_flip boolean
) returns jsonb
language plpgsql volatile security definer set search_path = '' set timezone = 'UTC'
as $$
declare
    v_now timestamptz := interlock.clock();
    v_answer jsonb;
begin
    if p_proposal_id is null or p_mode is null or p_mode not in ('dry_run', 'live') then
        raise sqlstate 'PT400' using
            message = 'INVALID_APPROVAL', detail = 'An approval names a proposal and the mode dry_run or live.';
    end if;
    perform interlock.act_as('execute');
    perform interlock.require_owner(p_user_id);
    -- GUARD: an owner who loops spends no other owner's share of the database and of the exchange.
    if not exists (select from public.trade_executions as execution where execution.proposal_id = p_proposal_id)
        and not interlock.takes_turn(p_user_id, v_now) then
        return jsonb_build_object('outcome', 'busy');
    end if;
    v_answer := interlock.read_approval(
        p_user_id, p_proposal_id, p_mode, p_operator_id, p_trade_key_fingerprint,
        p_override_cooldown, p_override_anti_flip, v_now
    );
    if v_answer -> 'checks' @> '[{"verdict": "FAILED"}]' then
        perform interlock.keep_refusal(p_user_id, p_proposal_id, v_answer -> 'checks', 'market facts', null, v_now);
    end if;
    return v_answer;
end
$$;
comment on function public.begin_execution(uuid, uuid, text, bigint, text, boolean, boolean) is
    'Reads what an approval needs, in one call: the proposal, its execution if it has one, the policy, '
    'and the verdict of every check that needs no market. A refusal is kept. An owner who approves too '
    'fast is told busy, before anything is read or written; what has an execution is told at any pace.';
