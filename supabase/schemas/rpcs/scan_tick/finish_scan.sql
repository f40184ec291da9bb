create function public.finish_scan(
    p_scan_job_id uuid,
    p_lock_token uuid,
    p_outcome text,
    p_reason text,
    p_usage jsonb,
    p_proposal jsonb,
    p_policy_hash text
) returns jsonb
language plpgsql volatile security definer set search_path = '' set timezone = 'UTC'
as $$
declare
    v_now timestamptz;
    v_job public.scan_jobs;
    v_policy public.trading_policies;
    v_call jsonb;
    v_proposal public.trade_proposals;
    v_outcome text := 'finished';
    v_rule text;
    v_column text;
begin
    if p_outcome is null or p_outcome not in ('proposed', 'held', 'failed', 'budget_exhausted', 'outage')
        or p_lock_token is null or jsonb_typeof(coalesce(p_usage, '[]')) <> 'array'
        or (p_outcome = 'proposed') <> (p_proposal is not null and jsonb_typeof(p_proposal) = 'object') then
        raise sqlstate 'PT400' using
            message = 'INVALID_FINISH',
            detail = 'A scan ends proposed (with a proposal), held, failed, budget_exhausted or outage, under its lock token.';
    end if;
    perform interlock.act_as('scan_tick');
    select * into v_job from public.scan_jobs as job where job.id = p_scan_job_id for update;
    if not found then
        raise sqlstate 'PT404' using message = 'SCAN_JOB_NOT_FOUND', detail = 'There is no such job.';
    end if;
    v_now := interlock.clock();

    for v_call in select item.value from jsonb_array_elements(coalesce(p_usage, '[]')) as item loop
        if v_call ->> 'status' is null or v_call ->> 'status' not in ('SUCCEEDED', 'FAILED', 'RELEASED') then
            raise sqlstate 'PT400' using
                message = 'INVALID_FINISH', detail = 'A call is settled as SUCCEEDED, FAILED or RELEASED.';
        end if;
        if interlock.as_uuid(v_call ->> 'id') is null
            or coalesce(v_call ->> 'prompt_tokens', '0') !~ '^[0-9]{1,12}$'
            or coalesce(v_call ->> 'completion_tokens', '0') !~ '^[0-9]{1,12}$' then
            raise sqlstate 'PT400' using
                message = 'INVALID_FINISH', detail = 'A call has the id of its reservation and token counts of 0 or more.';
        end if;
        -- GUARD: where the answer to a reservation was lost, it may never have been made.
        continue when v_call ->> 'status' = 'RELEASED'
            and not exists (select from public.gpt_usage_log as call where call.id = (v_call ->> 'id')::uuid);
        perform interlock.settle_call(
            (v_call ->> 'id')::uuid, v_call ->> 'status', v_call ->> 'reason', v_call ->> 'model',
            (v_call ->> 'prompt_tokens')::bigint, (v_call ->> 'completion_tokens')::bigint, v_now
        );
    end loop;

    -- GUARD: only the lease's own token ends it, and only while it runs; the tokens that were spent are settled all the same.
    if v_job.lock_token is distinct from p_lock_token or v_job.lock_expires_at <= v_now then
        select * into v_proposal from public.trade_proposals as proposal where proposal.id = interlock.as_uuid(p_proposal ->> 'id') and proposal.scan_job_id = v_job.id;
        return jsonb_build_object(
            'outcome', case when v_job.finished_token = p_lock_token then 'already_finished' else 'lease_lost' end,
            'proposal', case when v_job.finished_token = p_lock_token and v_proposal.id is not null
                then interlock.proposal_json(v_proposal) end,
            'next_run_at', v_job.next_run_at
        );
    end if;

    select policy.* into v_policy
    from public.trading_policies as policy
    join public.trading_owners as owner on owner.user_id = policy.user_id
    where policy.user_id = v_job.user_id;
    if p_outcome = 'proposed' then
        if v_policy.policy_hash is null or v_policy.policy_hash is distinct from p_policy_hash then
            -- GUARD: a proposal made under another policy is not stored; the job is due again at once.
            v_outcome := 'policy_changed';
        else
            begin
                insert into public.trade_proposals (
                    id, user_id, scan_job_id, market, side, order_type, amount, amount_quote, limit_price, reference_price,
                    confidence, rationale, expires_at, policy_hash, policy_snapshot, model, prompt_version, input_hash,
                    market_snapshot, clamped, created_at
                ) values (
                    (p_proposal ->> 'id')::uuid, v_job.user_id, v_job.id, p_proposal ->> 'market', p_proposal ->> 'side',
                    p_proposal ->> 'order_type', (p_proposal ->> 'amount')::numeric, (p_proposal ->> 'amount_quote')::numeric,
                    (p_proposal ->> 'limit_price')::numeric, (p_proposal ->> 'reference_price')::numeric,
                    (p_proposal ->> 'confidence')::numeric, p_proposal ->> 'rationale',
                    v_now + make_interval(mins => (v_policy.policy ->> 'proposal_ttl_minutes')::integer),
                    v_policy.policy_hash, v_policy.policy, p_proposal ->> 'model', p_proposal ->> 'prompt_version',
                    p_proposal ->> 'input_hash', p_proposal -> 'market_snapshot', p_proposal -> 'clamped', v_now
                )
                returning * into v_proposal;
            exception
                when data_exception or integrity_constraint_violation then
                    get stacked diagnostics v_rule = constraint_name, v_column = column_name;
                    raise sqlstate 'PT400' using
                        message = 'INVALID_PROPOSAL', detail = interlock.broken_rule(v_rule, v_column, sqlerrm);
            end;
        end if;
    end if;

    perform interlock.write_audit('SCAN_' || upper(p_outcome), v_job.user_id, v_proposal.id, null,
        jsonb_build_object('scan_job_id', v_job.id, 'outcome', v_outcome, 'reason', left(p_reason, 1000)));
    v_job := interlock.release_job(
        v_job,
        case
            when v_outcome = 'policy_changed' then 0
            when p_outcome = 'budget_exhausted' then 30
            when p_outcome in ('failed', 'outage') or v_policy.user_id is null then 60
            else (v_policy.policy ->> 'scan_interval_minutes')::numeric
        end,
        p_outcome = 'failed',
        case when v_outcome = 'policy_changed' then 'the policy changed during the scan' when p_outcome in ('proposed', 'held') then null else p_reason end,
        p_outcome in ('proposed', 'held'),
        concat_ws(': ', case when v_outcome = 'policy_changed' then v_outcome else p_outcome end, p_reason),
        v_now
    );
    return jsonb_build_object(
        'outcome', v_outcome,
        'proposal', case when v_proposal.id is not null then interlock.proposal_json(v_proposal) end,
        'next_run_at', v_job.next_run_at
    );
end
$$;
comment on function public.finish_scan(uuid, uuid, text, text, jsonb, jsonb, text) is
    'Ends a scan in one transaction: settles its model calls, stores its proposal, releases the job and '
    'says when it runs next. Fenced by the lease''s token and its end; a repeat answers already_finished.';
