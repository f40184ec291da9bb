create table public.gpt_usage_log (
    id uuid primary key default gen_random_uuid(),
    created_at timestamptz not null default interlock.clock(),
    status text not null,
    reason text,
    model text,
    tokens_used bigint not null default 0,
    prompt_tokens bigint not null default 0,
    completion_tokens bigint not null default 0,
    most_tokens bigint not null default 0,
    settled_at timestamptz,
    success boolean,
    purpose text not null default 'scan_proposal',
    user_id uuid not null references auth.users (id) on delete restrict,
    scan_job_id uuid references public.scan_jobs (id) on delete restrict,
    constraint status_is_known check (status in ('RESERVED', 'SUCCEEDED', 'FAILED', 'SKIPPED', 'RELEASED', 'ABANDONED')),
    constraint success_means_succeeded check (success is null or success = (status = 'SUCCEEDED')),
    constraint purpose_is_short check (length(purpose) between 1 and 100),
    constraint reason_is_short check (length(reason) <= 1000),
    constraint model_is_short check (length(model) <= 200),
    constraint tokens_are_counts check (prompt_tokens >= 0 and completion_tokens >= 0 and tokens_used >= 0 and most_tokens >= 0),
    constraint a_call_not_made_used_nothing check (status not in ('SKIPPED', 'RELEASED') or tokens_used = 0)
);

create index calls_by_user on public.gpt_usage_log (user_id, created_at)
where status in ('RESERVED', 'SUCCEEDED', 'FAILED', 'ABANDONED');
create index calls_by_day on public.gpt_usage_log (created_at)
where status in ('RESERVED', 'SUCCEEDED', 'FAILED', 'ABANDONED');
create index usage_by_user on public.gpt_usage_log (user_id, created_at);
create index usage_by_job on public.gpt_usage_log (scan_job_id);
create index open_reservations on public.gpt_usage_log (created_at) where status = 'RESERVED';

create trigger rows_are_never_deleted
before delete on public.gpt_usage_log
for each row execute function interlock.never();

create trigger rows_are_never_truncated
before truncate on public.gpt_usage_log
for each statement execute function interlock.never();

comment on table public.gpt_usage_log is
    'Every call to the language model: reserved before it is made, settled with the tokens that the '
    'answer reports. The budget is counted from these rows alone. Never deleted.';
comment on column public.gpt_usage_log.id is 'Made by the caller, so that a repeat reserves nothing twice.';
comment on column public.gpt_usage_log.user_id is 'The owner the call was for.';
comment on column public.gpt_usage_log.scan_job_id is 'The job the call was for.';
comment on column public.gpt_usage_log.purpose is 'Such as scan_proposal.';
comment on column public.gpt_usage_log.status is
    'RESERVED, SUCCEEDED, FAILED and ABANDONED count against the budget; SKIPPED (refused) and RELEASED '
    '(no call was made) do not.';
comment on column public.gpt_usage_log.success is 'true for SUCCEEDED.';
comment on column public.gpt_usage_log.reason is 'Why it failed, was skipped or released.';
comment on column public.gpt_usage_log.model is 'The model that was asked.';
comment on column public.gpt_usage_log.prompt_tokens is 'Tokens of the question, as the answer reports them.';
comment on column public.gpt_usage_log.completion_tokens is 'Tokens of the answer, as it reports them.';
comment on column public.gpt_usage_log.most_tokens is
    'What the call may use at most: the question by its bytes and the longest answer that is asked for. '
    'Counts until the call is settled.';
comment on column public.gpt_usage_log.tokens_used is
    'Both together; most_tokens, if that is more, for a call that was made and did not report both.';
comment on column public.gpt_usage_log.created_at is 'When it was reserved. The budget counts from here.';
comment on column public.gpt_usage_log.settled_at is 'When it was settled.';
