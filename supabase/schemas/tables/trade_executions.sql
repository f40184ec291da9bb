create table public.trade_executions (
    id uuid primary key,
    status text not null,
    mode text not null,
    market text not null,
    side text not null,
    order_value numeric not null,
    filled_amount numeric not null default 0,
    filled_amount_quote numeric not null default 0,
    fee numeric not null default 0,
    fee_currency text,
    error_code text,
    claimed_at timestamptz not null,
    settled_at timestamptz,
    override_cooldown boolean not null,
    override_anti_flip boolean not null,
    proposal_id uuid not null references public.trade_proposals (id) on delete restrict,
    user_id uuid not null references auth.users (id) on delete restrict,
    idempotency_key text not null,
    attempt_id uuid not null,
    operator_id bigint,
    trade_key_fingerprint text,
    exchange_url text,
    policy_hash text not null,
    policy_snapshot jsonb not null,
    checks jsonb not null,
    request jsonb not null,
    response jsonb,
    exchange_order_id text,
    exchange_updated bigint,
    fills_settled boolean not null default false,
    access_timestamp bigint not null,
    access_window_ms bigint not null,
    next_check_at timestamptz,
    check_attempts bigint not null default 0,
    checked_by text,
    alarmed_at timestamptz,
    asset text not null generated always as (split_part(market, '-', 1)) stored,
    fee_eur numeric generated always as (
        interlock.fee_in_eur(fee, fee_currency, market, filled_amount, filled_amount_quote)
    ) stored,
    constraint one_execution_a_proposal unique (proposal_id),
    constraint one_execution_a_key unique (idempotency_key),
    constraint key_is_the_proposal check (idempotency_key = proposal_id::text),
    constraint id_is_computed_from_the_proposal check (id = interlock.execution_id(proposal_id)),
    constraint status_is_known check (
        status in (
            'CLAIMED', 'UNKNOWN', 'OPEN', 'PARTIALLY_FILLED', 'FILLED', 'CANCELED', 'REJECTED', 'NOT_PLACED', 'DRY_RUN'
        )
    ),
    constraint mode_is_known check (mode in ('dry_run', 'live')),
    constraint dry_runs_are_born_final check ((mode = 'dry_run') = (status = 'DRY_RUN')),
    constraint live_names_operator_and_key check (
        mode = 'dry_run'
        or (operator_id is not null and trade_key_fingerprint is not null and exchange_url is not null)
    ),
    constraint exchange_url_is_short check (length(exchange_url) between 1 and 500),
    constraint side_is_known check (side in ('buy', 'sell')),
    constraint order_value_is_an_amount check (order_value > 0 and order_value < 'Infinity'),
    constraint fills_are_amounts check (
        filled_amount >= 0 and filled_amount < 'Infinity'
        and filled_amount_quote >= 0 and filled_amount_quote < 'Infinity'
        and fee > '-Infinity' and fee < 'Infinity'
    ),
    constraint nothing_fills_without_an_order check (filled_amount = 0 or exchange_order_id is not null),
    constraint a_filled_order_has_fills check (status not in ('FILLED', 'PARTIALLY_FILLED') or filled_amount > 0),
    constraint a_placed_order_has_an_id check (
        status not in ('OPEN', 'PARTIALLY_FILLED', 'FILLED', 'CANCELED') or exchange_order_id is not null
    ),
    constraint settled_means_final check (
        (settled_at is not null) = (status in ('FILLED', 'CANCELED', 'REJECTED', 'NOT_PLACED', 'DRY_RUN'))
    ),
    constraint request_holds_the_exact_bytes check (coalesce(jsonb_typeof(request -> 'body') = 'string', false)),
    constraint checks_are_a_list check (jsonb_typeof(checks) = 'array'),
    constraint access_timestamp_is_in_ms check (access_timestamp between 1500000000000 and 9999999999999),
    constraint access_window_is_3_to_10_s check (access_window_ms between 3000 and 10000),
    constraint attempts_are_a_count check (check_attempts >= 0)
);

create index executions_by_user on public.trade_executions (user_id, claimed_at);
create index unsettled_executions_by_market on public.trade_executions (user_id, market)
where status in ('CLAIMED', 'UNKNOWN', 'OPEN', 'PARTIALLY_FILLED');
create index unsettled_and_dry_executions on public.trade_executions (mode, claimed_at)
where status in ('CLAIMED', 'UNKNOWN', 'OPEN', 'PARTIALLY_FILLED', 'DRY_RUN');
create index unsettled_and_dry_executions_by_asset on public.trade_executions (user_id, asset, claimed_at)
where status in ('CLAIMED', 'UNKNOWN', 'OPEN', 'PARTIALLY_FILLED', 'DRY_RUN');
create index executions_to_check on public.trade_executions (next_check_at) where next_check_at is not null;
create index placed_executions on public.trade_executions (trade_key_fingerprint, claimed_at)
where exchange_order_id is not null;

create trigger rows_are_never_deleted
before delete on public.trade_executions
for each row execute function interlock.never();

create trigger rows_are_never_truncated
before truncate on public.trade_executions
for each statement execute function interlock.never();

comment on table public.trade_executions is
    'The one execution that an approved proposal has: what was claimed, what was sent, what the exchange '
    'answered. Rows are evidence and are never deleted.';
comment on column public.trade_executions.id is
    'Computed from the proposal''s id; it is the clientOrderId at the exchange.';
comment on column public.trade_executions.user_id is 'The owner who approved.';
comment on column public.trade_executions.proposal_id is 'The proposal. It has one execution, ever.';
comment on column public.trade_executions.idempotency_key is 'The proposal''s id as text.';
comment on column public.trade_executions.attempt_id is
    'Made at random by the process that claimed; no other process may send.';
comment on column public.trade_executions.status is
    'CLAIMED (about to be sent), UNKNOWN (sent, fate open), OPEN, PARTIALLY_FILLED, FILLED, CANCELED '
    '(perhaps with fills), REJECTED, NOT_PLACED, DRY_RUN.';
comment on column public.trade_executions.mode is 'live or dry_run, as registered when it was claimed.';
comment on column public.trade_executions.operator_id is 'The operatorId that the order carries.';
comment on column public.trade_executions.trade_key_fingerprint is
    'Fingerprint of the key that signed the order.';
comment on column public.trade_executions.exchange_url is
    'Where the order was sent. Another exchange''s silence says nothing about it.';
comment on column public.trade_executions.market is 'Such as BTC-EUR.';
comment on column public.trade_executions.asset is 'The market''s base, such as BTC.';
comment on column public.trade_executions.side is 'buy or sell.';
comment on column public.trade_executions.order_value is
    'The most EUR that can change hands, fee included. Limits count it while the order''s fate is open.';
comment on column public.trade_executions.policy_hash is 'Hash of the policy that judged it.';
comment on column public.trade_executions.policy_snapshot is 'The policy that judged it.';
comment on column public.trade_executions.checks is
    'Every check with its verdict and the facts that decided it.';
comment on column public.trade_executions.override_cooldown is 'Did the owner override the cooldown?';
comment on column public.trade_executions.override_anti_flip is
    'Did the owner override the anti-flip window?';
comment on column public.trade_executions.request is 'Method, path and the exact body that was to be sent.';
comment on column public.trade_executions.response is 'The last answer of the exchange about this order.';
comment on column public.trade_executions.exchange_order_id is 'The exchange''s own id of the order.';
comment on column public.trade_executions.exchange_updated is
    'When the exchange last changed the order, ms. An older record changes nothing.';
comment on column public.trade_executions.error_code is
    'The exchange''s error code, or why nothing was sent.';
comment on column public.trade_executions.filled_amount is 'Base amount filled.';
comment on column public.trade_executions.filled_amount_quote is 'EUR filled, without fee.';
comment on column public.trade_executions.fee is 'Fee paid; negative is a rebate.';
comment on column public.trade_executions.fee_currency is 'Currency of the fee.';
comment on column public.trade_executions.fee_eur is
    'The fee in EUR. Empty: it is in another currency than EUR or the asset, or in none that was told '
    'yet, so nobody can say whether it is fair.';
comment on column public.trade_executions.fills_settled is 'Is the fee of every fill final?';
comment on column public.trade_executions.claimed_at is
    'When it was claimed, on the database''s clock. Limits count from here.';
comment on column public.trade_executions.access_timestamp is
    'The exchange''s own time, ms, with which the order was signed.';
comment on column public.trade_executions.access_window_ms is
    'The exchange refuses the order later than this after the timestamp.';
comment on column public.trade_executions.settled_at is 'When its fate became final.';
comment on column public.trade_executions.next_check_at is
    'When cleanup looks at it next; empty when nothing is left to learn.';
comment on column public.trade_executions.check_attempts is 'How often cleanup has looked.';
comment on column public.trade_executions.alarmed_at is
    'When a person was last told that its fate is open for long.';
comment on column public.trade_executions.checked_by is 'The cleanup run that looked last.';
