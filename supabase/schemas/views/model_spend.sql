create view public.model_spend with (security_invoker = true) as
select
    count(call.id) filter (where call.created_at >= date_trunc('day', interlock.clock(), 'UTC')) as calls_today,
    (policy.policy #>> '{limits,gpt,daily}')::integer as daily_limit,
    count(call.id) filter (where call.created_at > interlock.clock() - interval '60 minutes') as calls_in_60_minutes,
    (policy.policy #>> '{limits,gpt,hourly}')::integer as hourly_limit,
    count(call.id) filter (
        where call.created_at >= date_trunc('day', interlock.clock(), 'UTC') and call.status in ('FAILED', 'ABANDONED')
    ) as calls_without_answer_today,
    coalesce(
        sum(case when call.status in ('RESERVED', 'ABANDONED') then call.most_tokens else call.tokens_used end)
            filter (where call.created_at >= date_trunc('day', interlock.clock(), 'UTC')),
        0
    ) as tokens_today,
    policy.user_id
from public.trading_policies as policy
left join public.gpt_usage_log as call
    on call.user_id = policy.user_id
    and call.status in ('RESERVED', 'SUCCEEDED', 'FAILED', 'ABANDONED')
    and call.created_at >= least(date_trunc('day', interlock.clock(), 'UTC'), interlock.clock() - interval '60 minutes')
group by policy.user_id, policy.policy;

comment on view public.model_spend is
    'Model calls and tokens of each owner against the budget of their policy. At the limit, scans wait: '
    'for the hour, or for midnight UTC.';
comment on column public.model_spend.calls_today is 'Calls that count, this UTC day.';
comment on column public.model_spend.daily_limit is 'How many the policy allows in a UTC day.';
comment on column public.model_spend.calls_in_60_minutes is 'Calls that count, in the last 60 minutes.';
comment on column public.model_spend.hourly_limit is 'How many the policy allows in 60 minutes.';
comment on column public.model_spend.calls_without_answer_today is
    'Those of today that failed or were given up: paid for, perhaps, and nothing came of them.';
comment on column public.model_spend.tokens_today is
    'Tokens of question and answer, this UTC day: as reported, or the most that a call may use where '
    'nothing is reported.';
comment on column public.model_spend.user_id is 'The owner.';
