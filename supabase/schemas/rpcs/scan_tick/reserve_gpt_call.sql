create function public.reserve_gpt_call(
    p_reservation_id uuid, p_scan_job_id uuid, p_lock_token uuid, p_purpose text, p_model text, p_most_tokens bigint
) returns jsonb
language plpgsql volatile security definer set search_path = '' set timezone = 'UTC' set lock_timeout = '4s'
as $$
declare
    v_now timestamptz;
    v_job public.scan_jobs;
    v_controls public.trading_controls;
    v_policy jsonb;
    v_call public.gpt_usage_log;
    v_is_new boolean;
    v_used record;
    v_reason text;
begin
    if p_reservation_id is null or p_scan_job_id is null or p_lock_token is null
        or coalesce(length(p_purpose), 0) not between 1 and 100 or length(p_model) > 200
        or p_most_tokens is null or p_most_tokens not between 1 and 999999999999 then
        raise sqlstate 'PT400' using
            message = 'INVALID_RESERVATION',
            detail = 'A reservation has an id, a job, its lock token, a purpose of 1 to 100 characters, and the tokens that it may use at most.';
    end if;
    perform interlock.act_as('scan_tick');
    select * into v_job from public.scan_jobs as job where job.id = p_scan_job_id;
    if not found then
        raise sqlstate 'PT404' using message = 'SCAN_JOB_NOT_FOUND', detail = 'There is no such job.';
    end if;

    perform pg_advisory_xact_lock(interlock.lock_class('user budget'), hashtext(v_job.user_id::text));
    perform pg_advisory_xact_lock(interlock.lock_class('account budget'), 0);
    select * into v_job from public.scan_jobs as job where job.id = p_scan_job_id for share;
    v_now := interlock.clock();

    select * into v_call from public.gpt_usage_log as call where call.id = p_reservation_id;
    v_is_new := not found;
    if v_is_new and (v_job.lock_token is distinct from p_lock_token or v_job.lock_expires_at <= v_now) then
        return jsonb_build_object('outcome', 'lease_lost', 'reason', null, 'daily_used', null, 'hourly_used', null);
    end if;
    if not v_is_new and v_call.scan_job_id is distinct from p_scan_job_id then
        raise sqlstate 'PT400' using
            message = 'INVALID_RESERVATION', detail = 'This reservation belongs to another job.';
    end if;

    -- Once a call: it reads the day's calls, and everybody else waits for the lock meanwhile.
    select * into v_used from interlock.calls_used(v_job.user_id, v_now);
    if v_is_new then
        select * into strict v_controls from public.trading_controls where singleton;
        select policy.policy into v_policy
        from public.trading_policies as policy
        join public.trading_owners as owner on owner.user_id = policy.user_id
        where policy.user_id = v_job.user_id;
        v_reason := case
            when v_policy is null then 'NOT_AN_OWNER'
            when v_used.daily < (v_policy #>> '{limits,gpt,daily}')::integer then null
            else 'DAILY_BUDGET_EXHAUSTED'
        end;
        v_reason := coalesce(v_reason, case
            when v_used.hourly >= (v_policy #>> '{limits,gpt,hourly}')::integer then 'HOURLY_BUDGET_EXHAUSTED'
            when v_used.all_daily >= v_controls.max_daily_gpt_calls then 'ACCOUNT_DAILY_CALLS_EXHAUSTED'
            when v_used.all_tokens >= v_controls.max_daily_gpt_tokens then 'ACCOUNT_DAILY_TOKENS_EXHAUSTED'
        end);
        insert into public.gpt_usage_log (id, user_id, scan_job_id, purpose, status, success, reason, model, most_tokens, created_at, settled_at)
        values (
            p_reservation_id, v_job.user_id, v_job.id, p_purpose,
            case when v_reason is null then 'RESERVED' else 'SKIPPED' end,
            case when v_reason is not null then false end,
            v_reason, p_model, p_most_tokens, v_now, case when v_reason is not null then v_now end
        )
        returning * into v_call;
        v_used.daily := v_used.daily + (v_reason is null)::integer;
        v_used.hourly := v_used.hourly + (v_reason is null)::integer;
    end if;
    return jsonb_build_object(
        -- GUARD: one reservation is one call; what is settled is never handed out again.
        'outcome', case v_call.status when 'RESERVED' then 'reserved' else 'refused' end,
        'reason', case when v_call.status in ('RESERVED', 'SKIPPED') then v_call.reason else 'ALREADY_SETTLED' end,
        'daily_used', v_used.daily::text,
        'hourly_used', v_used.hourly::text
    );
end
$$;
comment on function public.reserve_gpt_call(uuid, uuid, uuid, text, text, bigint) is
    'Reserves one model call of at most p_most_tokens inside the owner''s limits and the ceilings over '
    'all owners, or refuses and keeps the refusal as a SKIPPED row. The same id again reserves nothing '
    'twice.';
