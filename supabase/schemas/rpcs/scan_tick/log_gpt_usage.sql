create function public.log_gpt_usage(
    p_id uuid,
    p_user_id uuid,
    p_scan_job_id uuid,
    p_purpose text,
    p_status text,
    p_reason text,
    p_model text,
    p_prompt_tokens bigint,
    p_completion_tokens bigint
) returns jsonb
language plpgsql volatile security definer set search_path = '' set timezone = 'UTC'
as $$
declare
    v_now timestamptz := interlock.clock();
    v_call public.gpt_usage_log;
begin
    if p_id is null or p_status is null or p_status not in ('SUCCEEDED', 'FAILED', 'RELEASED', 'SKIPPED')
        or coalesce(p_prompt_tokens, 0) not between 0 and 999999999999
        or coalesce(p_completion_tokens, 0) not between 0 and 999999999999 then
        raise sqlstate 'PT400' using
            message = 'INVALID_USAGE',
            detail = 'Usage has an id, a status of SUCCEEDED, FAILED, RELEASED or SKIPPED, and token counts of 0 or more.';
    end if;
    if p_status = 'SKIPPED' and (p_user_id is null or length(coalesce(p_purpose, 'scan_proposal')) not between 1 and 100) then
        raise sqlstate 'PT400' using
            message = 'INVALID_USAGE', detail = 'A skipped call names its user and a purpose of 1 to 100 characters.';
    end if;
    perform interlock.act_as('scan_tick');
    if p_status = 'SKIPPED' then
        perform interlock.require_owner(p_user_id);
        if p_scan_job_id is not null and not exists (
            select from public.scan_jobs as job where job.id = p_scan_job_id and job.user_id = p_user_id
        ) then
            raise sqlstate 'PT404' using message = 'SCAN_JOB_NOT_FOUND', detail = 'The user has no such job.';
        end if;
        insert into public.gpt_usage_log (id, user_id, scan_job_id, purpose, status, success, reason, model, created_at, settled_at)
        values (p_id, p_user_id, p_scan_job_id, coalesce(p_purpose, 'scan_proposal'), 'SKIPPED', false,
            left(p_reason, 1000), left(p_model, 200), v_now, v_now)
        on conflict (id) do nothing;
        select * into v_call from public.gpt_usage_log as call where call.id = p_id;
    else
        v_call := interlock.settle_call(p_id, p_status, p_reason, p_model, p_prompt_tokens, p_completion_tokens, v_now);
    end if;
    return jsonb_build_object(
        'outcome', case when v_call.status = p_status then 'logged' else 'unchanged' end,
        'usage', interlock.row_json(to_jsonb(v_call))
    );
end
$$;
comment on function public.log_gpt_usage(uuid, uuid, uuid, text, text, text, text, bigint, bigint) is
    'Settles a reserved model call with the tokens that the answer reported (without a report: the most '
    'that it may use), or records one that was SKIPPED.';
