create function public.cleanup_expired_locks() returns jsonb
language plpgsql volatile security definer set search_path = '' set timezone = 'UTC'
as $$
declare
    c_reservation constant interval := '10 minutes';
    c_most_failures constant integer := 10;
    v_now timestamptz := interlock.clock();
    v_job public.scan_jobs;
    v_call public.gpt_usage_log;
    v_released bigint := 0;
    v_abandoned bigint := 0;
begin
    perform interlock.act_as('cleanup');
    for v_job in
        select job.*
        from public.scan_jobs as job
        where job.lock_expires_at <= v_now
        order by job.lock_expires_at
        limit 1000
        for update skip locked
    loop
        update public.scan_jobs
        set
            locked_at = null,
            locked_by = null,
            lock_expires_at = null,
            lock_token = null,
            consecutive_failures = consecutive_failures + 1,
            enabled = enabled and consecutive_failures + 1 < c_most_failures,
            last_error = left(format(
                '%sworker %s did not finish',
                case when consecutive_failures + 1 >= c_most_failures then 'disabled after ten failures in a row; the last: ' else '' end,
                locked_by
            ), 1000)
        where id = v_job.id;
        perform interlock.write_audit('LOCK_EXPIRED', v_job.user_id, null, null,
            jsonb_build_object('scan_job_id', v_job.id, 'worker', v_job.locked_by));
        v_released := v_released + 1;
    end loop;
    for v_call in
        update public.gpt_usage_log
        set status = 'ABANDONED', success = false, reason = 'its worker did not settle it in time', settled_at = v_now
        where id in (
            select call.id
            from public.gpt_usage_log as call
            where call.status = 'RESERVED' and call.created_at <= v_now - c_reservation
            order by call.created_at
            limit 1000
            for update skip locked
        )
        returning *
    loop
        perform interlock.write_audit('CALL_ABANDONED', v_call.user_id, null, null,
            jsonb_build_object('usage_id', v_call.id, 'scan_job_id', v_call.scan_job_id, 'model', v_call.model));
        v_abandoned := v_abandoned + 1;
    end loop;
    return jsonb_build_object('released', v_released::text, 'abandoned', v_abandoned::text);
end
$$;
comment on function public.cleanup_expired_locks() is
    'Releases jobs whose worker did not finish in time (each counts as a failure of its job), and gives '
    'up model calls reserved more than 10 minutes ago (they still count against the budget).';
