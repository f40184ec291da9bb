create view public.incomplete_evidence with (security_invoker = true) as
select missing.what, execution.status, execution.claimed_at, execution.id, execution.user_id
from public.trade_executions as execution
cross join lateral (
    select 'policy snapshot' as what where execution.policy_snapshot is null or execution.policy_snapshot = '{}'
    union all
    select 'audit event' where not exists (
        select from public.audit_events as event where event.execution_id = execution.id
    )
    union all
    select 'history' where execution.filled_amount > 0 and not exists (
        select from public.trade_history as history
        where history.execution_id = execution.id and history.amount >= execution.filled_amount
    )
) as missing;

comment on view public.incomplete_evidence is
    'Executions without policy snapshot, audit event or, when filled, history. Empty when all is well.';
comment on column public.incomplete_evidence.what is
    'What is missing: policy snapshot, audit event or history.';
comment on column public.incomplete_evidence.status is 'How it stands.';
comment on column public.incomplete_evidence.claimed_at is 'When it was claimed.';
comment on column public.incomplete_evidence.id is 'The execution.';
comment on column public.incomplete_evidence.user_id is 'The owner who approved.';
