-- Budget

create function interlock.calls_used(
    p_user_id uuid, p_now timestamptz, out daily bigint, out hourly bigint, out all_daily bigint, out all_tokens bigint
)
language sql stable set search_path = ''
as $$
    select own.daily, own.hourly, everybody.daily, everybody.tokens
    from (
        select
            count(*) filter (where call.created_at >= date_trunc('day', p_now, 'UTC')) as daily,
            count(*) filter (where call.created_at > p_now - interval '60 minutes') as hourly
        from public.gpt_usage_log as call
        where call.user_id = p_user_id
            and call.created_at >= least(date_trunc('day', p_now, 'UTC'), p_now - interval '60 minutes')
            and call.status in ('RESERVED', 'SUCCEEDED', 'FAILED', 'ABANDONED')
    ) as own
    cross join (
        -- GUARD: a call without a report counts what it may have used, or the ceiling would bound nothing.
        select
            count(*) as daily,
            coalesce(sum(case when call.status in ('RESERVED', 'ABANDONED') then call.most_tokens else call.tokens_used end), 0)::bigint as tokens
        from public.gpt_usage_log as call
        where call.created_at >= date_trunc('day', p_now, 'UTC')
            and call.status in ('RESERVED', 'SUCCEEDED', 'FAILED', 'ABANDONED')
    ) as everybody
$$;
comment on function interlock.calls_used(uuid, timestamptz) is
    'Model calls that count: an owner''s in this UTC day and in the last 60 minutes, everybody''s in this '
    'UTC day, and everybody''s tokens: what is settled as it was settled, what is not as the most it may '
    'use.';
