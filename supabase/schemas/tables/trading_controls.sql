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

comment on table public.trading_controls is
    'One row that governs the whole deployment: the global trading state, the mode, the registered '
    'exchange account and the ceilings over all owners. Starts HALTED with ceilings of 0.';
comment on column public.trading_controls.singleton is 'Always true: there is one row.';
comment on column public.trading_controls.trading_state is
    'ACTIVE, REDUCE_ONLY (no buys) or HALTED. The stricter of this and the owner''s own state holds. '
    'Setting HALTED here stops every new order.';
comment on column public.trading_controls.reason is
    'Why the state is what it is, for people: every reason since trading was last loosened.';
comment on column public.trading_controls.mode is
    'dry_run: claims are stored and nothing is sent. live: orders are sent. A function whose TRADING_MODE '
    'differs claims nothing.';
comment on column public.trading_controls.operator_id is
    'The operatorId that marks this deployment''s orders at the exchange. Nothing else on the account may '
    'use it.';
comment on column public.trading_controls.trade_key_fingerprint is
    'First 16 hex digits of the SHA-256 of the registered trade key. An order signed with another key is '
    'refused.';
comment on column public.trading_controls.account_is_dedicated is
    'Does nothing else, and no person either, trade on the registered account? Then every order in it '
    'counts as this deployment''s: one without an approval halts trading, whether or not the exchange '
    'shows an operatorId.';
comment on column public.trading_controls.max_order_eur is
    'Ceiling in EUR, fee included, for any one order of any owner. 0: nothing may trade.';
comment on column public.trading_controls.max_daily_value_eur is
    'Ceiling in EUR for all orders of all owners in one UTC day. 0: nothing may trade.';
comment on column public.trading_controls.max_daily_gpt_calls is
    'Ceiling for model calls of all owners in one UTC day. Empty: none.';
comment on column public.trading_controls.max_daily_gpt_tokens is
    'Ceiling for model tokens of all owners in one UTC day. Empty: none.';
comment on column public.trading_controls.reconciled_at is
    'Up to this time every order at the exchange was compared with the approvals. Older than 15 minutes '
    'stops live trading. Set by hand it is a change of the controls: a new version, and in the audit.';
comment on column public.trading_controls.version is
    'Rises with every change of the controls and with every halt (not with a comparison). Loosening needs '
    'the current one.';
comment on column public.trading_controls.updated_at is 'When the controls last changed.';

create trigger the_row_is_never_deleted
before delete on public.trading_controls
for each row execute function interlock.never();

create trigger the_row_is_never_truncated
before truncate on public.trading_controls
for each statement execute function interlock.never();
