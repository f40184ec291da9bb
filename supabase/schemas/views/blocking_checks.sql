create view public.blocking_checks with (security_invoker = true) as
select
    verdict.value ->> 'check' as check_name,
    verdict.value ->> 'code' as code,
    sum(refusal.times)::bigint as refusals,
    max(refusal.last_at) as last_at,
    refusal.user_id
from public.trade_refusals as refusal
join public.audit_events as event on event.id = refusal.event_id
cross join lateral jsonb_array_elements(event.detail -> 'checks') as verdict
where verdict.value ->> 'verdict' = 'FAILED'
group by 1, 2, refusal.user_id;

comment on view public.blocking_checks is
    'Which checks refused approvals, how often and when last. A proposal that is approved again counts '
    'again.';
comment on column public.blocking_checks.check_name is 'The check that refused.';
comment on column public.blocking_checks.code is 'Why it was refused.';
comment on column public.blocking_checks.refusals is 'How often.';
comment on column public.blocking_checks.last_at is 'When last.';
comment on column public.blocking_checks.user_id is 'The owner who approved.';
