create function interlock.failing_reason(p_user_id uuid, p_since timestamptz, p_now timestamptz) returns text
language sql stable set search_path = ''
as $$
    with since as (
        select
            greatest(p_since, p_now - interval '60 minutes') as an_hour_ago,
            greatest(p_since, p_now - interval '24 hours') as a_day_ago
    ),
    -- No count reads further than what it needs to know, however much an owner has written.
    unknown as (
        select
        from public.audit_events as event, since
        where event.user_id = p_user_id and event.event = 'EXECUTION_UNKNOWN' and event.at > since.an_hour_ago
        limit 3
    ),
    skewed as (
        select
        from public.audit_events as event, since
        where event.user_id = p_user_id
            and event.event in ('EXECUTION_UNKNOWN', 'EXECUTION_REJECTED', 'EXECUTION_NOT_PLACED')
            and event.at > since.an_hour_ago
            and event.detail #>> '{error_code,1}' in ('CLOCK_SKEW', '304')
        limit 5
    ),
    -- The last five times are kept of each refusal.
    refused as (
        select
        from (
            select refusal.recent_at
            from public.trade_refusals as refusal, since
            where refusal.user_id = p_user_id and refusal.clock_skew and refusal.last_at > since.an_hour_ago
            limit 5
        ) as latest
        cross join unnest(latest.recent_at) as happened (at)
        cross join since
        where happened.at > since.an_hour_ago
    ),
    -- Of a hundred refusals with fewer than fifty codes, three have the same one.
    rejected as (
        select event.detail #>> '{error_code,1}' as code
        from public.audit_events as event, since
        where event.user_id = p_user_id and event.event = 'EXECUTION_REJECTED' and event.at > since.a_day_ago
            -- Too little to sell or to pay with is no fault of anything.
            and event.detail #>> '{error_code,1}' is distinct from '216'
        limit 100
    )
    select case
        when (select count(*) from unknown) >= 3 then 'three executions of unknown fate within 60 minutes'
        when (select count(*) from skewed) + (select count(*) from refused) >= 5
            then 'five times within 60 minutes a clock was off (CLOCK_SKEW or 304)'
        else (
            select format('three refusals by the exchange with code %s within 24 hours', rejected.code)
            from rejected
            group by rejected.code
            having count(*) >= 3
            order by 1
            limit 1
        )
    end
$$;
comment on function interlock.failing_reason(uuid, timestamptz, timestamptz) is
    'Why an owner''s trading should halt by itself, counted since the state was last loosened; null when '
    'nothing does. Refusals that the owner can make at will are counted in trade_refusals.';
