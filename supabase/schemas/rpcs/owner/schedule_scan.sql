create function public.schedule_scan(p_enabled boolean default true) returns jsonb
language plpgsql volatile security definer set search_path = '' set timezone = 'UTC'
as $$
declare
    v_user_id uuid := interlock.signed_in_owner();
    v_now timestamptz;
    v_job public.scan_jobs;
begin
    if p_enabled is null then
        raise sqlstate 'PT400' using message = 'INVALID_SCHEDULE', detail = 'A scan is switched on (true) or off (false).';
    end if;
    if not exists (select from public.trading_policies as policy where policy.user_id = v_user_id) then
        raise sqlstate 'PT404' using message = 'NO_POLICY', detail = 'Set a trading policy first.';
    end if;
    perform pg_advisory_xact_lock(interlock.lock_class('user budget'), hashtext(v_user_id::text));
    v_now := interlock.clock();
    select * into v_job
    from public.scan_jobs as job
    where job.user_id = v_user_id
    order by job.enabled desc, job.legacy is not null, job.created_at
    limit 1
    for update;
    if not found then
        insert into public.scan_jobs (user_id, enabled, next_run_at)
        values (v_user_id, p_enabled, v_now)
        returning * into v_job;
    else
        update public.scan_jobs
        set
            enabled = p_enabled,
            next_run_at = case when p_enabled then v_now else next_run_at end,
            consecutive_failures = case when p_enabled then 0 else consecutive_failures end,
            last_error = case when p_enabled then null else 'switched off by the owner' end
        where id = v_job.id
        returning * into v_job;
    end if;
    return interlock.row_json(to_jsonb(v_job)) - '{lock_token,finished_token,legacy,policy,status}'::text[];
end
$$;
comment on function public.schedule_scan(boolean) is
    'An owner''s scan is made or switched on, due at once, or switched off. Definer: owners write no '
    'table themselves.';
