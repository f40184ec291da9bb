-- trade_history

create table public.trade_history (
    id uuid primary key default gen_random_uuid(),
    executed_at timestamptz not null default interlock.clock(),
    mode text,
    market text,
    side text not null,
    amount numeric not null,
    price numeric,
    amount_quote numeric,
    fee numeric,
    fee_currency text,
    value_eur numeric generated always as (
        case
            when amount_quote is null then amount * price
            when side <> 'buy' or coalesce(fee, 0) <= 0 or fee_currency = asset then amount_quote
            when fee_currency = 'EUR' then amount_quote + fee
        end
    ) stored,
    counted_at timestamptz not null default interlock.clock(),
    execution_id uuid references public.trade_executions (id) on delete restrict,
    exchange_order_id text,
    user_id uuid references auth.users (id) on delete restrict,
    asset text not null,
    constraint one_row_an_order unique (execution_id, exchange_order_id),
    constraint side_is_known check (side in ('buy', 'sell')),
    constraint asset_is_named check (asset ~ '^[A-Z0-9]{1,20}$'),
    constraint asset_is_the_base_of_the_market check (market is null or split_part(market, '-', 1) = asset),
    constraint amount_is_an_amount check (amount > 0 and amount < 'Infinity'),
    constraint quote_is_an_amount check (amount_quote >= 0 and amount_quote < 'Infinity'),
    constraint price_is_a_price check (price > 0 and price < 'Infinity'),
    constraint fee_is_finite check (fee > '-Infinity' and fee < 'Infinity'),
    constraint mode_is_known check (mode in ('dry_run', 'live'))
);

create index history_by_asset on public.trade_history (user_id, asset, counted_at);
create index history_by_day on public.trade_history (counted_at);

create trigger rows_are_never_deleted
before delete on public.trade_history
for each row execute function interlock.never();

create trigger rows_are_never_truncated
before truncate on public.trade_history
for each statement execute function interlock.never();

comment on table public.trade_history is
    'What was really traded: one row an order with fills. An order that no execution explains is here '
    'too, without owner or execution. Never deleted.';
comment on column public.trade_history.id is 'Made here.';
comment on column public.trade_history.user_id is 'The owner; empty for an order that no execution explains.';
comment on column public.trade_history.asset is 'The asset traded, such as BTC.';
comment on column public.trade_history.market is 'Such as BTC-EUR.';
comment on column public.trade_history.side is 'buy or sell.';
comment on column public.trade_history.amount is 'Base amount filled.';
comment on column public.trade_history.amount_quote is
    'EUR filled, without fee. Empty: unknown, and limits count the largest order that the policy allows.';
comment on column public.trade_history.price is 'Average price in EUR.';
comment on column public.trade_history.fee is 'Fee paid; negative is a rebate.';
comment on column public.trade_history.fee_currency is 'Currency of the fee.';
comment on column public.trade_history.execution_id is 'The execution that explains the order.';
comment on column public.trade_history.exchange_order_id is 'The exchange''s own id of the order.';
comment on column public.trade_history.executed_at is 'When it was traded, on the exchange''s clock.';
comment on column public.trade_history.counted_at is
    'From when cooldown, anti-flip and daily limits count it: the claim of its execution, or executed_at.';
comment on column public.trade_history.mode is
    'Mode of its execution; empty without one, and then it counts in both.';
comment on column public.trade_history.value_eur is
    'EUR that changed hands; for a buy with the fee. Empty: unknown, as with a fee that has no value in '
    'EUR, and limits count the largest order that the policy allows.';
