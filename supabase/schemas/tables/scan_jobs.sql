create table public.scan_jobs (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null,
    policy jsonb,
    status text,
    next_run_at timestamptz not null default interlock.clock(),
    last_run_at timestamptz,
    created_at timestamptz not null default interlock.clock(),
    legacy jsonb,
    enabled boolean not null default false,
    locked_at timestamptz,
    locked_by text,
    lock_expires_at timestamptz,
    lock_token uuid,
    finished_token uuid,
    consecutive_failures bigint not null default 0,
    last_error text,
    last_outcome text,
    constraint lock_is_whole check (num_nulls(locked_at, locked_by, lock_expires_at) in (0, 3)),
    constraint token_only_with_a_lock check (lock_token is null or locked_at is not null),
    constraint worker_name_is_short check (length(locked_by) between 1 and 200),
    constraint failures_are_a_count check (consecutive_failures >= 0),
    constraint error_is_short check (length(last_error) <= 1000),
    constraint outcome_is_short check (length(last_outcome) <= 1000),
    constraint user_exists foreign key (user_id) references auth.users (id) on delete restrict
);

create unique index an_owner_has_one_enabled_job on public.scan_jobs (user_id) where enabled;

create index jobs_by_user on public.scan_jobs (user_id, enabled desc, (legacy is not null), created_at);
create index due_jobs on public.scan_jobs (next_run_at, id) where enabled;
create index held_locks on public.scan_jobs (lock_expires_at) where lock_expires_at is not null;

comment on table public.scan_jobs is
    'One scheduled scan an owner: when it runs next, which worker holds it, and what went wrong last. '
    'Made by schedule_scan.';
comment on column public.scan_jobs.id is 'Made here.';
comment on column public.scan_jobs.user_id is 'The owner it scans for.';
comment on column public.scan_jobs.policy is
    'The policy as phase 1 had it. Nothing reads it: the one that counts is in trading_policies.';
comment on column public.scan_jobs.status is
    'The status as phase 1 had it. Nothing reads it: enabled is what counts.';
comment on column public.scan_jobs.enabled is
    'Switched by schedule_scan, or here; off after ten failures in a row. Switched on again, the count '
    'begins anew.';
comment on column public.scan_jobs.next_run_at is 'Due from this time on.';
comment on column public.scan_jobs.last_run_at is 'When a scan last finished.';
comment on column public.scan_jobs.locked_at is 'When a worker took the job.';
comment on column public.scan_jobs.locked_by is 'The worker that holds the job.';
comment on column public.scan_jobs.lock_expires_at is
    'From this time on any worker may take the job: the one that held it has crashed.';
comment on column public.scan_jobs.lock_token is
    'Fresh with every lease; only its holder can finish the job.';
comment on column public.scan_jobs.finished_token is
    'The lease that finished last, so that a repeated finish is recognised.';
comment on column public.scan_jobs.consecutive_failures is
    'Failures since the last success. Ten disable the job.';
comment on column public.scan_jobs.last_error is 'What went wrong last, or why the job is disabled.';
comment on column public.scan_jobs.last_outcome is
    'What the last scan came to: proposed, held, failed, budget_exhausted, outage or policy_changed, and '
    'why.';
comment on column public.scan_jobs.legacy is 'The row as phase 1 had it; empty for jobs made since.';
comment on column public.scan_jobs.created_at is 'When the job was made.';
