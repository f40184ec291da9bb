create function interlock.scan_json(p_user_id uuid, p_now timestamptz) returns jsonb
language sql stable set search_path = ''
as $$
    select jsonb_build_object(
        'enabled', job.enabled,
        'running', coalesce(job.lock_expires_at > p_now, false),
        'next_run_at', job.next_run_at,
        'last_run_at', job.last_run_at,
        'last_outcome', job.last_outcome,
        'last_error', job.last_error,
        'consecutive_failures', job.consecutive_failures::text
    )
    from public.scan_jobs as job
    where job.user_id = p_user_id
    order by job.enabled desc, job.legacy is not null, job.created_at
    limit 1
$$;
comment on function interlock.scan_json(uuid, timestamptz) is
    'How an owner''s scan stands: the job that schedule_scan switches. Null: there is none yet.';
