create function interlock.read_approval(
    p_user_id uuid,
    p_proposal_id uuid,
    p_mode text,
    p_operator_id bigint,
    p_trade_key_fingerprint text,
    p_override_cooldown boolean,
    p_override_anti_flip boolean,
    p_now timestamptz
) returns jsonb
language plpgsql stable set search_path = ''
as $$
declare
    v_proposal public.trade_proposals;
    v_execution public.trade_executions;
    v_policy public.trading_policies;
begin
    select * into v_proposal
    from public.trade_proposals as proposal
    where proposal.id = p_proposal_id and proposal.user_id = p_user_id;
    if not found or v_proposal.legacy is not null then
        raise sqlstate 'PT404' using message = 'PROPOSAL_NOT_FOUND', detail = 'There is no such proposal.';
    end if;
    select * into v_policy from public.trading_policies as policy where policy.user_id = p_user_id;
    select * into v_execution from public.trade_executions as execution where execution.proposal_id = p_proposal_id;
    return jsonb_build_object(
        'proposal', interlock.proposal_json(v_proposal),
        'execution', case when v_execution.id is not null then interlock.execution_json(v_execution) end,
        'execution_id', interlock.execution_id(p_proposal_id),
        'policy', v_policy.policy,
        'policy_hash', v_policy.policy_hash,
        'checks', case
            -- GUARD: what has an execution is answered with it, before any check.
            when v_execution.id is not null then '[]'::jsonb
            else interlock.decide_checks(
                v_proposal, p_mode, p_operator_id, p_trade_key_fingerprint, v_policy.policy_hash,
                coalesce(p_override_cooldown, false), coalesce(p_override_anti_flip, false), null, p_now
            )
        end
    );
end
$$;
comment on function interlock.read_approval(uuid, uuid, text, bigint, text, boolean, boolean, timestamptz) is
    'What is stored about an approval, in one snapshot: a claim that commits meanwhile is seen wholly or '
    'not at all.';
