create view public.scan_health with (security_invoker = true) as
select
    job.enabled,
    case
        when job.enabled and job.next_run_at < interlock.clock() and coalesce(job.lock_expires_at <= interlock.clock(), true)
            then date_trunc('second', interlock.clock() - job.next_run_at)
    end as overdue_by,
    job.last_outcome,
    job.last_error,
    job.consecutive_failures,
    job.next_run_at,
    job.last_run_at,
    job.locked_by,
    date_trunc('second', interlock.clock() - job.locked_at) as locked_for,
    job.lock_expires_at,
    job.lock_expires_at <= interlock.clock() as lock_is_expired,
    (
        select count(*)
        from public.audit_events as event
        where event.event = 'LOCK_EXPIRED'
            and event.user_id = job.user_id
            and event.detail ->> 'scan_job_id' = job.id::text
            and event.at > interlock.clock() - interval '24 hours'
    ) as locks_expired_in_24_hours,
    job.id as scan_job_id,
    job.user_id
from public.scan_jobs as job;

comment on view public.scan_health is
    'Each scan job: how long it is overdue (empty: it is not, or a worker has it), who holds it and for '
    'how long, how often it failed, and how many of its locks expired in 24 hours (each one is a worker '
    'that crashed or stalled).';
comment on column public.scan_health.enabled is
    'Is it switched on? Ten failures in a row switch it off; schedule_scan switches it on again.';
comment on column public.scan_health.overdue_by is
    'For how long it has been due without a worker. Above some minutes: the scheduler or scan_tick does '
    'not run.';
comment on column public.scan_health.last_outcome is 'What the last scan came to, and why.';
comment on column public.scan_health.last_error is 'What went wrong last, or why it is switched off.';
comment on column public.scan_health.consecutive_failures is 'Failures since the last success.';
comment on column public.scan_health.next_run_at is 'Due from this time on.';
comment on column public.scan_health.last_run_at is 'When a scan last finished.';
comment on column public.scan_health.locked_by is 'The worker that holds it.';
comment on column public.scan_health.locked_for is 'For how long the worker has held it.';
comment on column public.scan_health.lock_expires_at is 'From this time on another worker may take it.';
comment on column public.scan_health.lock_is_expired is
    'true: the worker that holds it has crashed, and nobody has taken over yet.';
comment on column public.scan_health.locks_expired_in_24_hours is
    'How many of its workers did not finish in 24 hours. More than a few: scans take too long or crash.';
comment on column public.scan_health.scan_job_id is 'The job.';
comment on column public.scan_health.user_id is 'The owner it scans for.';
