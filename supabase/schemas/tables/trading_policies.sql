create table public.trading_policies (
    user_id uuid primary key references auth.users (id) on delete restrict,
    policy jsonb not null,
    policy_hash text not null generated always as (interlock.policy_hash(policy)) stored,
    trading_state text not null default 'ACTIVE',
    state_reason text not null default '',
    loosened_at timestamptz not null default interlock.clock(),
    version bigint not null default 1,
    updated_at timestamptz not null default interlock.clock(),
    constraint policy_is_complete_and_valid check (interlock.policy_error(policy) is null),
    constraint state_is_known check (trading_state in ('ACTIVE', 'REDUCE_ONLY', 'HALTED')),
    constraint reason_is_short check (length(state_reason) <= 4000)
);

comment on table public.trading_policies is
    'What each owner allows: markets, sizes, limits and waiting times. Complete and valid at all times: a '
    'wrong edit is refused with a sentence.';
comment on column public.trading_policies.user_id is 'The owner whose policy this is.';
comment on column public.trading_policies.policy is
    'The complete policy. Money is text in EUR, times are minutes, percentages are text. An empty '
    'allowlist means that nothing may trade.';
comment on column public.trading_policies.policy_hash is
    'SHA-256 of the policy, computed here alone. Stored with every proposal and execution.';
comment on column public.trading_policies.trading_state is
    'The owner''s own state: ACTIVE, REDUCE_ONLY (no buys) or HALTED.';
comment on column public.trading_policies.state_reason is
    'Why the state is what it is, for people: every reason since the state was last loosened.';
comment on column public.trading_policies.loosened_at is
    'When the state was last loosened. Automatic halts count from here.';
comment on column public.trading_policies.version is
    'Rises with every change. Loosening the state needs the current one.';
comment on column public.trading_policies.updated_at is 'When the policy or its state last changed.';

create trigger rows_are_never_truncated before truncate on public.trading_policies
for each statement execute function interlock.never();
