-- Purpose: the one execution a proposal may have, and what was really traded.
-- Objects: interlock.taker_fee, rounding_room, fee_in_eur; public.trade_executions, trade_history; their guards.

set local lock_timeout = '5s';
set local statement_timeout = '60s';

-- What an order may cost. The deployed code reckons with the same numbers.

create function interlock.taker_fee() returns numeric
language sql immutable parallel safe set search_path = ''
as $$ select 0.0025 $$;
comment on function interlock.taker_fee() is 'Bitvavo''s default taker fee, 0.25 %, as a share of what was traded.';

create function interlock.rounding_room(p_value numeric) returns numeric
language sql immutable strict parallel safe set search_path = ''
as $$ select least(10, 2 + div(p_value, 5)) * 0.01 $$;
comment on function interlock.rounding_room(numeric) is
    'EUR that rounding may cost an order of this value beyond its fee: a cent a fill, for two fills and one more for every 5 EUR, the least order that rests in a EUR market, and for ten at most.';

create function interlock.fee_in_eur(
    p_fee numeric, p_currency text, p_market text, p_amount numeric, p_amount_quote numeric
) returns numeric
language sql immutable parallel safe set search_path = ''
as $$
    select case
        when p_fee = 0 or p_currency = 'EUR' then p_fee
        when p_currency = split_part(p_market, '-', 1) and p_amount > 0 then p_fee * p_amount_quote / p_amount
    end
$$;
comment on function interlock.fee_in_eur(numeric, text, text, numeric, numeric) is
    'A fee in EUR; one in the market''s base currency is valued at the average price of the fills. Null: it has no value that is known.';

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

create function interlock.is_unsettled(p_status text) returns boolean
language sql immutable strict parallel safe set search_path = ''
as $$ select p_status in ('CLAIMED', 'UNKNOWN', 'OPEN', 'PARTIALLY_FILLED') $$;
comment on function interlock.is_unsettled(text) is 'May an execution of this status still spend?';

create function interlock.execution_moves_by_rule() returns trigger
language plpgsql set search_path = ''
as $$
declare
    v_free text[] := '{status,response,exchange_order_id,exchange_updated,error_code,filled_amount,filled_amount_quote,fee,fee_currency,fills_settled,settled_at,next_check_at,check_attempts,checked_by,alarmed_at,asset,fee_eur}';
    v_names_an_order boolean := new.exchange_order_id is not null;
begin
    if to_jsonb(new) - v_free is distinct from to_jsonb(old) - v_free then
        raise exception using
            errcode = 'restrict_violation',
            message = 'what was claimed never changes: only the outcome of an execution is written later';
    end if;
    if new.status is distinct from old.status and not coalesce(
        case old.status
            when 'CLAIMED' then new.status in ('UNKNOWN', 'OPEN', 'PARTIALLY_FILLED', 'FILLED', 'CANCELED', 'REJECTED', 'NOT_PLACED')
            when 'UNKNOWN' then new.status in ('OPEN', 'PARTIALLY_FILLED', 'FILLED', 'CANCELED', 'REJECTED', 'NOT_PLACED')
            when 'OPEN' then new.status in ('PARTIALLY_FILLED', 'FILLED', 'CANCELED')
            when 'PARTIALLY_FILLED' then new.status in ('FILLED', 'CANCELED')
            -- A fact wins over a conclusion: an order of this execution exists after all.
            when 'NOT_PLACED' then v_names_an_order and new.status <> 'CLAIMED'
            when 'REJECTED' then v_names_an_order and new.status not in ('CLAIMED', 'NOT_PLACED')
        end,
        false
    ) then
        raise exception using
            errcode = 'restrict_violation',
            message = format('an execution never goes from %s to %s', old.status, new.status);
    end if;
    if old.exchange_order_id is not null and new.exchange_order_id is distinct from old.exchange_order_id then
        raise exception using
            errcode = 'restrict_violation',
            message = 'an execution names one order of the exchange and never another';
    end if;
    if new.filled_amount < old.filled_amount or new.filled_amount_quote < old.filled_amount_quote
        or (old.filled_amount > 0 and new.fee < old.fee)
        or (old.fills_settled and not new.fills_settled) then
        raise exception using errcode = 'restrict_violation', message = 'fills grow and never shrink';
    end if;
    return new;
end
$$;
comment on function interlock.execution_moves_by_rule() is
    'Trigger: the state diagram, for every role. Conclusions (NOT_PLACED, REJECTED) yield only to an order; fills only grow.';

create trigger states_move_by_the_diagram
before update on public.trade_executions
for each row execute function interlock.execution_moves_by_rule();

create trigger rows_are_never_deleted
before delete on public.trade_executions
for each row execute function interlock.never();
create trigger rows_are_never_truncated
before truncate on public.trade_executions
for each statement execute function interlock.never();

create function interlock.proposal_status_for(p_execution_status text) returns text
language sql immutable strict parallel safe set search_path = ''
as $$
    select case
        when p_execution_status in ('CLAIMED', 'UNKNOWN') then 'EXECUTING'
        when p_execution_status in ('REJECTED', 'NOT_PLACED') then 'FAILED'
        else 'EXECUTED'
    end
$$;
comment on function interlock.proposal_status_for(text) is 'The status of a proposal whose execution has this status.';

create function interlock.proposal_and_execution_agree() returns trigger
language plpgsql security definer set search_path = ''
as $$
declare
    v_proposal_id uuid := (to_jsonb(new) ->> case tg_table_name when 'trade_proposals' then 'id' else 'proposal_id' end)::uuid;
    v_proposal text;
    v_execution text;
    v_legacy boolean;
begin
    select proposal.status, proposal.legacy is not null into v_proposal, v_legacy
    from public.trade_proposals as proposal
    where proposal.id = v_proposal_id;
    select execution.status into v_execution
    from public.trade_executions as execution
    where execution.proposal_id = v_proposal_id;
    if not found and not v_legacy and v_proposal in ('EXECUTING', 'EXECUTED', 'FAILED') then
        raise exception using
            errcode = 'integrity_constraint_violation',
            message = format('a proposal is %s only with an execution', v_proposal);
    end if;
    if v_execution is not null and v_proposal is distinct from interlock.proposal_status_for(v_execution) then
        raise exception using
            errcode = 'integrity_constraint_violation',
            message = format('a proposal whose execution is %s is %s, not %s',
                v_execution, interlock.proposal_status_for(v_execution), v_proposal);
    end if;
    return null;
end
$$;
comment on function interlock.proposal_and_execution_agree() is
    'Constraint trigger, at commit: a proposal and its execution say the same. Definer: it must see both rows whoever writes.';

create constraint trigger proposal_and_execution_agree
after insert or update of status on public.trade_executions
deferrable initially deferred
for each row execute function interlock.proposal_and_execution_agree();
create constraint trigger proposal_and_execution_agree
after insert or update of status on public.trade_proposals
deferrable initially deferred
for each row execute function interlock.proposal_and_execution_agree();

comment on table public.trade_executions is
    'The one execution that an approved proposal has: what was claimed, what was sent, what the exchange answered. Rows are evidence and are never deleted.';
comment on column public.trade_executions.id is 'Computed from the proposal''s id; it is the clientOrderId at the exchange.';
comment on column public.trade_executions.user_id is 'The owner who approved.';
comment on column public.trade_executions.proposal_id is 'The proposal. It has one execution, ever.';
comment on column public.trade_executions.idempotency_key is 'The proposal''s id as text.';
comment on column public.trade_executions.attempt_id is 'Made at random by the process that claimed; no other process may send.';
comment on column public.trade_executions.status is
    'CLAIMED (about to be sent), UNKNOWN (sent, fate open), OPEN, PARTIALLY_FILLED, FILLED, CANCELED (perhaps with fills), REJECTED, NOT_PLACED, DRY_RUN.';
comment on column public.trade_executions.mode is 'live or dry_run, as registered when it was claimed.';
comment on column public.trade_executions.operator_id is 'The operatorId that the order carries.';
comment on column public.trade_executions.trade_key_fingerprint is 'Fingerprint of the key that signed the order.';
comment on column public.trade_executions.exchange_url is 'Where the order was sent. Another exchange''s silence says nothing about it.';
comment on column public.trade_executions.market is 'Such as BTC-EUR.';
comment on column public.trade_executions.asset is 'The market''s base, such as BTC.';
comment on column public.trade_executions.side is 'buy or sell.';
comment on column public.trade_executions.order_value is 'The most EUR that can change hands, fee included. Limits count it while the order''s fate is open.';
comment on column public.trade_executions.policy_hash is 'Hash of the policy that judged it.';
comment on column public.trade_executions.policy_snapshot is 'The policy that judged it.';
comment on column public.trade_executions.checks is 'Every check with its verdict and the facts that decided it.';
comment on column public.trade_executions.override_cooldown is 'Did the owner override the cooldown?';
comment on column public.trade_executions.override_anti_flip is 'Did the owner override the anti-flip window?';
comment on column public.trade_executions.request is 'Method, path and the exact body that was to be sent.';
comment on column public.trade_executions.response is 'The last answer of the exchange about this order.';
comment on column public.trade_executions.exchange_order_id is 'The exchange''s own id of the order.';
comment on column public.trade_executions.exchange_updated is 'When the exchange last changed the order, ms. An older record changes nothing.';
comment on column public.trade_executions.error_code is 'The exchange''s error code, or why nothing was sent.';
comment on column public.trade_executions.filled_amount is 'Base amount filled.';
comment on column public.trade_executions.filled_amount_quote is 'EUR filled, without fee.';
comment on column public.trade_executions.fee is 'Fee paid; negative is a rebate.';
comment on column public.trade_executions.fee_currency is 'Currency of the fee.';
comment on column public.trade_executions.fee_eur is
    'The fee in EUR. Empty: it is in another currency than EUR or the asset, or in none that was told yet, so nobody can say whether it is fair.';
comment on column public.trade_executions.fills_settled is 'Is the fee of every fill final?';
comment on column public.trade_executions.claimed_at is 'When it was claimed, on the database''s clock. Limits count from here.';
comment on column public.trade_executions.access_timestamp is 'The exchange''s own time, ms, with which the order was signed.';
comment on column public.trade_executions.access_window_ms is 'The exchange refuses the order later than this after the timestamp.';
comment on column public.trade_executions.settled_at is 'When its fate became final.';
comment on column public.trade_executions.next_check_at is 'When cleanup looks at it next; empty when nothing is left to learn.';
comment on column public.trade_executions.check_attempts is 'How often cleanup has looked.';
comment on column public.trade_executions.alarmed_at is 'When a person was last told that its fate is open for long.';
comment on column public.trade_executions.checked_by is 'The cleanup run that looked last.';

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

create function interlock.history_counts_from_its_claim() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
    if tg_op = 'UPDATE' then
        if to_jsonb(new) - '{amount,amount_quote,price,fee,fee_currency,executed_at,value_eur}'::text[]
            is distinct from to_jsonb(old) - '{amount,amount_quote,price,fee,fee_currency,executed_at,value_eur}'::text[]
            or new.amount < old.amount
            or (old.amount_quote is not null and coalesce(new.amount_quote < old.amount_quote, true))
            or (old.fee is not null and coalesce(new.fee < old.fee, true)) then
            raise exception using errcode = 'restrict_violation', message = 'history grows and never shrinks';
        end if;
        return new;
    end if;
    -- A time of the future, from another clock or a slip of the hand, would hold the asset until then.
    new.counted_at := least(new.executed_at, interlock.clock());
    new.mode := null;
    if new.execution_id is not null then
        select execution.claimed_at, execution.mode into new.counted_at, new.mode
        from public.trade_executions as execution
        where execution.id = new.execution_id;
    end if;
    return new;
end
$$;
comment on function interlock.history_counts_from_its_claim() is
    'Trigger: limits count a trade from its claim; one without an execution from its own time, in both modes. Definer: whoever inserts may not read executions.';

create trigger history_counts_from_its_claim
before insert or update on public.trade_history
for each row execute function interlock.history_counts_from_its_claim();
create trigger rows_are_never_deleted
before delete on public.trade_history
for each row execute function interlock.never();
create trigger rows_are_never_truncated
before truncate on public.trade_history
for each statement execute function interlock.never();

comment on table public.trade_history is
    'What was really traded: one row an order with fills. An order that no execution explains is here too, without owner or execution. Never deleted.';
comment on column public.trade_history.id is 'Made here.';
comment on column public.trade_history.user_id is 'The owner; empty for an order that no execution explains.';
comment on column public.trade_history.asset is 'The asset traded, such as BTC.';
comment on column public.trade_history.market is 'Such as BTC-EUR.';
comment on column public.trade_history.side is 'buy or sell.';
comment on column public.trade_history.amount is 'Base amount filled.';
comment on column public.trade_history.amount_quote is 'EUR filled, without fee. Empty: unknown, and limits count the largest order that the policy allows.';
comment on column public.trade_history.price is 'Average price in EUR.';
comment on column public.trade_history.fee is 'Fee paid; negative is a rebate.';
comment on column public.trade_history.fee_currency is 'Currency of the fee.';
comment on column public.trade_history.execution_id is 'The execution that explains the order.';
comment on column public.trade_history.exchange_order_id is 'The exchange''s own id of the order.';
comment on column public.trade_history.executed_at is 'When it was traded, on the exchange''s clock.';
comment on column public.trade_history.counted_at is 'From when cooldown, anti-flip and daily limits count it: the claim of its execution, or executed_at.';
comment on column public.trade_history.mode is 'Mode of its execution; empty without one, and then it counts in both.';
comment on column public.trade_history.value_eur is
    'EUR that changed hands; for a buy with the fee. Empty: unknown, as with a fee that has no value in EUR, and limits count the largest order that the policy allows.';
