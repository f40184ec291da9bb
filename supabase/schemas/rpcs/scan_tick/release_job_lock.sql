create function public.release_job_lock(p_scan_job_id uuid, p_lock_token uuid, p_minutes integer, p_error text) returns jsonb
language plpgsql volatile security definer set search_path = '' set timezone = 'UTC'
as $$
declare
    v_job public.scan_jobs;
begin
    if p_lock_token is null or p_minutes is null or p_minutes not between 0 and 10080 then
        raise sqlstate 'PT400' using
            message = 'INVALID_RELEASE', detail = 'A release carries the lock token and 0 to 10080 minutes to the next run.';
    end if;
    perform interlock.act_as('scan_tick');
    select * into v_job from public.scan_jobs as job where job.id = p_scan_job_id for update;
    if not found then
        raise sqlstate 'PT404' using message = 'SCAN_JOB_NOT_FOUND', detail = 'There is no such job.';
    end if;
    if v_job.lock_token is distinct from p_lock_token then
        return jsonb_build_object(
            'outcome', case when v_job.finished_token = p_lock_token then 'already_released' else 'lease_lost' end,
            'next_run_at', v_job.next_run_at);
    end if;
    v_job := interlock.release_job(v_job, p_minutes, p_error is not null, p_error, false, concat_ws(': ', 'released', p_error), interlock.clock());
    return jsonb_build_object('outcome', 'released', 'next_run_at', v_job.next_run_at);
end
$$;
comment on function public.release_job_lock(uuid, uuid, integer, text) is
    'Ends a lease without a scan, under its token; an error counts as a failure of the job.';
