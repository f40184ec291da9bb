-- A row that phase 1 wrote is kept whole in `legacy`, is never PENDING, and is exempt from the rules that came later.
create table public.trade_proposals (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null,
    scan_job_id uuid references public.scan_jobs (id),
    side text,
    amount numeric,
    confidence numeric,
    rationale text,
    status text not null default 'PENDING',
    expires_at timestamptz,
    created_at timestamptz not null default interlock.clock(),
    legacy jsonb,
    market text,
    asset text generated always as (split_part(market, '-', 1)) stored,
    order_type text default 'market',
    amount_quote numeric,
    limit_price numeric,
    reference_price numeric,
    override_cooldown boolean not null default false,
    override_anti_flip boolean not null default false,
    policy_hash text,
    policy_snapshot jsonb,
    model text,
    prompt_version text,
    input_hash text,
    market_snapshot jsonb,
    clamped jsonb,
    constraint user_exists foreign key (user_id) references auth.users (id) on delete restrict,
    constraint status_is_known check (
        status in ('PENDING', 'EXECUTING', 'EXECUTED', 'FAILED', 'EXPIRED', 'DECLINED')
    ),
    constraint phase_1_rows_are_never_pending check (legacy is null or status not in ('PENDING', 'EXECUTING')),
    constraint market_is_named check (
        legacy is not null or coalesce(market ~ '^[A-Z0-9]{1,20}-[A-Z0-9]{2,10}$', false)
    ),
    constraint side_is_known check (legacy is not null or coalesce(side in ('buy', 'sell'), false)),
    constraint order_type_is_known check (legacy is not null or coalesce(order_type in ('market', 'limit'), false)),
    constraint a_buy_carries_whole_cents_of_quote check (
        legacy is not null or side <> 'buy'
        or (
            amount is null and amount_quote is not null
            and amount_quote > 0 and amount_quote < 'Infinity' and amount_quote = round(amount_quote, 2)
        )
    ),
    constraint a_sell_carries_an_amount check (
        legacy is not null or side <> 'sell'
        or (amount_quote is null and amount is not null and amount > 0 and amount < 'Infinity')
    ),
    constraint a_limit_order_alone_has_a_limit_price check (
        legacy is not null
        or (order_type = 'market' and limit_price is null)
        or (order_type = 'limit' and limit_price is not null and limit_price > 0 and limit_price < 'Infinity')
    ),
    constraint reference_price_is_a_price check (
        legacy is not null or coalesce(reference_price > 0 and reference_price < 'Infinity', false)
    ),
    constraint confidence_is_0_to_100 check (legacy is not null or coalesce(confidence between 0 and 100, false)),
    constraint amounts_are_finite check (
        coalesce(amount, 1) < 'Infinity' and coalesce(amount, 1) > '-Infinity'
        and coalesce(amount_quote, 1) < 'Infinity' and coalesce(amount_quote, 1) > '-Infinity'
        and coalesce(limit_price, 1) < 'Infinity' and coalesce(limit_price, 1) > '-Infinity'
        and coalesce(reference_price, 1) < 'Infinity' and coalesce(reference_price, 1) > '-Infinity'
        and coalesce(confidence, 1) < 'Infinity' and coalesce(confidence, 1) > '-Infinity'
    ),
    constraint rationale_is_short check (legacy is not null or length(rationale) <= 4000),
    constraint sources_are_short check (
        length(model) <= 200 and length(prompt_version) <= 200 and length(input_hash) <= 200
    ),
    constraint it_expires_within_a_day check (
        legacy is not null or coalesce(expires_at > created_at and expires_at <= created_at + interval '24 hours', false)
    ),
    constraint policy_is_kept check (
        legacy is not null or (policy_hash is not null and policy_snapshot is not null)
    )
);

create index pending_proposals_by_user on public.trade_proposals (user_id, created_at) where status = 'PENDING';
create index proposals_by_user on public.trade_proposals (user_id, created_at);
create index proposals_to_expire on public.trade_proposals (expires_at) where status = 'PENDING';
create index proposals_by_job on public.trade_proposals (scan_job_id);

comment on table public.trade_proposals is
    'What the language model proposed. The owner approves one (./interlock approve) or declines it; it '
    'expires by itself.';
comment on column public.trade_proposals.id is 'Made by the scan; the execution''s id is computed from it.';
comment on column public.trade_proposals.user_id is 'The owner it is for.';
comment on column public.trade_proposals.scan_job_id is 'The job that wrote it.';
comment on column public.trade_proposals.market is 'Such as BTC-EUR.';
comment on column public.trade_proposals.asset is 'The market''s base, such as BTC.';
comment on column public.trade_proposals.side is 'buy or sell.';
comment on column public.trade_proposals.order_type is
    'market (sent as limit IOC at the collar''s edge) or limit (sent as limit IOC at its price).';
comment on column public.trade_proposals.amount is 'For a sell: the base amount to sell.';
comment on column public.trade_proposals.amount_quote is
    'For a buy: the most EUR to spend, fee included, in whole cents.';
comment on column public.trade_proposals.limit_price is 'For a limit order: its price in EUR.';
comment on column public.trade_proposals.reference_price is
    'The price in EUR that the scan read: best ask for a buy, best bid for a sell. The collar is measured '
    'from it.';
comment on column public.trade_proposals.confidence is 'The model''s own confidence, 0 to 100.';
comment on column public.trade_proposals.rationale is
    'The model''s words in plain spaces and hyphens, or that they were not fit to show: a link, markup, '
    'controls. They decide nothing.';
comment on column public.trade_proposals.status is
    'PENDING until it is approved, declined or expired; EXECUTING while its order''s fate is open; '
    'EXECUTED; FAILED when no order came of it.';
comment on column public.trade_proposals.expires_at is 'From this time on it cannot be approved.';
comment on column public.trade_proposals.override_cooldown is
    'Did the owner override the cooldown when approving?';
comment on column public.trade_proposals.override_anti_flip is
    'Did the owner override the anti-flip window when approving?';
comment on column public.trade_proposals.policy_hash is
    'Hash of the policy the proposal was made under. It is judged by the policy of the day of approval.';
comment on column public.trade_proposals.policy_snapshot is 'The policy the proposal was made under.';
comment on column public.trade_proposals.model is 'The model that answered.';
comment on column public.trade_proposals.prompt_version is 'The version of the question.';
comment on column public.trade_proposals.input_hash is 'SHA-256 of the exact question that the model saw.';
comment on column public.trade_proposals.market_snapshot is 'The numbers that the model saw.';
comment on column public.trade_proposals.clamped is
    'What was reduced to the policy''s limits, from and to; empty when nothing was.';
comment on column public.trade_proposals.legacy is
    'The row as phase 1 had it; empty for proposals made since.';
comment on column public.trade_proposals.created_at is 'When it was stored.';
