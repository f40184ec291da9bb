-- Purpose: who may trade, under which limits, in which state.
-- Objects: public.trading_controls, trading_owners, trading_policies.

set local lock_timeout = '5s';
set local statement_timeout = '60s';

create table public.trading_controls (
    trading_state text not null default 'HALTED',
    reason text not null default 'not set up',
    mode text not null default 'dry_run',
    operator_id bigint,
    trade_key_fingerprint text,
    account_is_dedicated boolean not null default false,
    max_order_eur numeric not null default 0,
    max_daily_value_eur numeric not null default 0,
    max_daily_gpt_calls bigint default 0,
    max_daily_gpt_tokens bigint default 0,
    reconciled_at timestamptz,
    version bigint not null default 1,
    updated_at timestamptz not null default interlock.clock(),
    singleton boolean primary key default true,
    constraint there_is_one_row check (singleton),
    constraint state_is_known check (trading_state in ('ACTIVE', 'REDUCE_ONLY', 'HALTED')),
    constraint reason_is_short check (length(reason) <= 4000),
    constraint mode_is_known check (mode in ('dry_run', 'live')),
    constraint operator_id_is_positive check (operator_id > 0),
    constraint fingerprint_is_16_hex_digits check (trade_key_fingerprint ~ '^[0-9a-f]{16}$'),
    constraint live_names_operator_and_key check (
        mode = 'dry_run' or (operator_id is not null and trade_key_fingerprint is not null)
    ),
    constraint order_ceiling_is_an_amount check (max_order_eur >= 0 and max_order_eur < 'Infinity'),
    constraint daily_ceiling_is_an_amount check (max_daily_value_eur >= 0 and max_daily_value_eur < 'Infinity'),
    constraint call_ceiling_is_a_count check (max_daily_gpt_calls >= 0),
    constraint token_ceiling_is_a_count check (max_daily_gpt_tokens >= 0),
    constraint comparison_has_a_time check (reconciled_at > '-infinity' and reconciled_at < 'infinity')
);
insert into public.trading_controls default values;

comment on table public.trading_controls is
    'One row that governs the whole deployment: the global trading state, the mode, the registered exchange account and the ceilings over all owners. Starts HALTED with ceilings of 0.';
comment on column public.trading_controls.singleton is 'Always true: there is one row.';
comment on column public.trading_controls.trading_state is
    'ACTIVE, REDUCE_ONLY (no buys) or HALTED. The stricter of this and the owner''s own state holds. Setting HALTED here stops every new order.';
comment on column public.trading_controls.reason is
    'Why the state is what it is, for people: every reason since trading was last loosened.';
comment on column public.trading_controls.mode is
    'dry_run: claims are stored and nothing is sent. live: orders are sent. A function whose TRADING_MODE differs claims nothing.';
comment on column public.trading_controls.operator_id is 'The operatorId that marks this deployment''s orders at the exchange. Nothing else on the account may use it.';
comment on column public.trading_controls.trade_key_fingerprint is
    'First 16 hex digits of the SHA-256 of the registered trade key. An order signed with another key is refused.';
comment on column public.trading_controls.account_is_dedicated is
    'Does nothing else, and no person either, trade on the registered account? Then every order in it counts as this deployment''s: one without an approval halts trading, whether or not the exchange shows an operatorId.';
comment on column public.trading_controls.max_order_eur is 'Ceiling in EUR, fee included, for any one order of any owner. 0: nothing may trade.';
comment on column public.trading_controls.max_daily_value_eur is 'Ceiling in EUR for all orders of all owners in one UTC day. 0: nothing may trade.';
comment on column public.trading_controls.max_daily_gpt_calls is 'Ceiling for model calls of all owners in one UTC day. Empty: none.';
comment on column public.trading_controls.max_daily_gpt_tokens is 'Ceiling for model tokens of all owners in one UTC day. Empty: none.';
comment on column public.trading_controls.reconciled_at is
    'Up to this time every order at the exchange was compared with the approvals. Older than 15 minutes stops live trading. Set by hand it is a change of the controls: a new version, and in the audit.';
comment on column public.trading_controls.version is 'Rises with every change of the controls and with every halt (not with a comparison). Loosening needs the current one.';
comment on column public.trading_controls.updated_at is 'When the controls last changed.';

create table public.trading_owners (
    user_id uuid primary key references auth.users (id) on delete restrict,
    note text not null default '',
    created_at timestamptz not null default interlock.clock(),
    constraint note_is_short check (length(note) <= 500)
);
comment on table public.trading_owners is
    'The users who may trade on the one exchange account. Empty at first: nobody may. Add a row here to name an owner.';
comment on column public.trading_owners.user_id is 'The user, from Authentication.';
comment on column public.trading_owners.note is 'Who this is, for people.';
comment on column public.trading_owners.created_at is 'When the owner was named.';

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
    'What each owner allows: markets, sizes, limits and waiting times. Complete and valid at all times: a wrong edit is refused with a sentence.';
comment on column public.trading_policies.user_id is 'The owner whose policy this is.';
comment on column public.trading_policies.policy is
    'The complete policy. Money is text in EUR, times are minutes, percentages are text. An empty allowlist means that nothing may trade.';
comment on column public.trading_policies.policy_hash is 'SHA-256 of the policy, computed here alone. Stored with every proposal and execution.';
comment on column public.trading_policies.trading_state is 'The owner''s own state: ACTIVE, REDUCE_ONLY (no buys) or HALTED.';
comment on column public.trading_policies.state_reason is
    'Why the state is what it is, for people: every reason since the state was last loosened.';
comment on column public.trading_policies.loosened_at is 'When the state was last loosened. Automatic halts count from here.';
comment on column public.trading_policies.version is 'Rises with every change. Loosening the state needs the current one.';
comment on column public.trading_policies.updated_at is 'When the policy or its state last changed.';

create function interlock.policy_must_be_valid() returns trigger
language plpgsql security definer set search_path = ''
as $$
declare
    v_error text := interlock.policy_error(new.policy);
begin
    if v_error is not null then
        raise exception using
            errcode = 'check_violation',
            message = v_error,
            constraint = 'policy_is_complete_and_valid',
            table = 'trading_policies';
    end if;
    return new;
end
$$;
comment on function interlock.policy_must_be_valid() is
    'Trigger: names what is wrong with a policy before the constraint refuses it. Definer: whoever writes may not read the rule book.';

create trigger a_wrong_policy_is_named
before insert or update of policy on public.trading_policies
for each row execute function interlock.policy_must_be_valid();
