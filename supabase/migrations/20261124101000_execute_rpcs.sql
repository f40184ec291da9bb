-- Purpose: what the function execute calls: read, claim, record, status.
-- Objects: interlock.approval_paces, free_after_a_turn, takes_turn; public.begin_execution, claim_execution, record_execution_result, get_execution_status.
-- All are definer: the secret key may call them and writes no table by itself.

set local lock_timeout = '5s';
set local statement_timeout = '60s';

create function interlock.require_owner(p_user_id uuid) returns void
language plpgsql volatile set search_path = ''
as $$
begin
    if p_user_id is null or not exists (select from public.trading_owners as owner where owner.user_id = p_user_id) then
        raise sqlstate 'PT403' using message = 'NOT_AN_OWNER', detail = 'The operator has not named this user as an owner.';
    end if;
end
$$;
comment on function interlock.require_owner(uuid) is 'Raises PT403 NOT_AN_OWNER unless the operator named the user.';

create function interlock.act_as(p_actor text) returns void
language sql volatile set search_path = ''
as $$ select set_config('interlock.actor', p_actor, true) $$;
comment on function interlock.act_as(text) is 'Names the actor of this transaction for the audit.';

create function interlock.proposal_json(p_proposal public.trade_proposals) returns jsonb
language sql stable set search_path = ''
as $$
    select interlock.row_json(to_jsonb(p_proposal)) - '{legacy,policy_snapshot,market_snapshot}'::text[]
$$;
comment on function interlock.proposal_json(public.trade_proposals) is 'A proposal as RPCs answer it, numbers as text.';

create function interlock.execution_json(p_execution public.trade_executions) returns jsonb
language sql stable set search_path = ''
as $$
    select interlock.row_json(to_jsonb(p_execution)) - '{checked_by,check_attempts,next_check_at,alarmed_at}'::text[]
$$;
comment on function interlock.execution_json(public.trade_executions) is 'An execution as RPCs answer it, numbers as text.';

create function interlock.read_approval(
    p_user_id uuid,
    p_proposal_id uuid,
    p_mode text,
    p_operator_id bigint,
    p_trade_key_fingerprint text,
    p_override_cooldown boolean,
    p_override_anti_flip boolean,
    p_now timestamptz
) returns jsonb
language plpgsql stable set search_path = ''
as $$
declare
    v_proposal public.trade_proposals;
    v_execution public.trade_executions;
    v_policy public.trading_policies;
begin
    select * into v_proposal
    from public.trade_proposals as proposal
    where proposal.id = p_proposal_id and proposal.user_id = p_user_id;
    if not found or v_proposal.legacy is not null then
        raise sqlstate 'PT404' using message = 'PROPOSAL_NOT_FOUND', detail = 'There is no such proposal.';
    end if;
    select * into v_policy from public.trading_policies as policy where policy.user_id = p_user_id;
    select * into v_execution from public.trade_executions as execution where execution.proposal_id = p_proposal_id;
    return jsonb_build_object(
        'proposal', interlock.proposal_json(v_proposal),
        'execution', case when v_execution.id is not null then interlock.execution_json(v_execution) end,
        'execution_id', interlock.execution_id(p_proposal_id),
        'policy', v_policy.policy,
        'policy_hash', v_policy.policy_hash,
        'checks', case
            -- GUARD: what has an execution is answered with it, before any check.
            when v_execution.id is not null then '[]'::jsonb
            else interlock.decide_checks(
                v_proposal, p_mode, p_operator_id, p_trade_key_fingerprint, v_policy.policy_hash,
                coalesce(p_override_cooldown, false), coalesce(p_override_anti_flip, false), null, p_now
            )
        end
    );
end
$$;
comment on function interlock.read_approval(uuid, uuid, text, bigint, text, boolean, boolean, timestamptz) is
    'What is stored about an approval, in one snapshot: a claim that commits meanwhile is seen wholly or not at all.';

create table interlock.approval_paces (
    user_id uuid primary key,
    free_at timestamptz not null
);
comment on table interlock.approval_paces is
    'How fast each owner approves. Kept here and not in an instance of execute: there are several, and they come and go.';
comment on column interlock.approval_paces.user_id is 'The owner.';
comment on column interlock.approval_paces.free_at is 'When all turns are free again; each turn that is taken moves it on.';
alter table interlock.approval_paces enable row level security;
create policy nobody_reads on interlock.approval_paces for select to service_role using (false);

create function interlock.free_after_a_turn(p_free_at timestamptz, p_now timestamptz) returns timestamptz
language sql immutable parallel safe set search_path = ''
as $$
    select case
        -- All are free; or the clock was set back, and nobody waits for it.
        when p_free_at between p_now and p_now + interval '120 seconds' is not true then p_now + interval '2 seconds'
        when p_free_at <= p_now + interval '118 seconds' then p_free_at + interval '2 seconds'
    end
$$;
comment on function interlock.free_after_a_turn(timestamptz, timestamptz) is
    'When all turns are free again after one more is taken: there are sixty, and one comes back every two seconds. Null when none is free.';

create function interlock.takes_turn(p_user_id uuid, p_now timestamptz) returns boolean
language plpgsql volatile set search_path = ''
as $$
begin
    -- Read first: whoever comes too fast writes nothing, not even a lock on the row.
    if exists (
        select
        from interlock.approval_paces as pace
        where pace.user_id = p_user_id and interlock.free_after_a_turn(pace.free_at, p_now) is null
    ) then
        return false;
    end if;
    insert into interlock.approval_paces as pace (user_id, free_at)
    values (p_user_id, interlock.free_after_a_turn(null, p_now))
    on conflict (user_id) do update
    set free_at = interlock.free_after_a_turn(pace.free_at, p_now)
    where interlock.free_after_a_turn(pace.free_at, p_now) is not null;
    return found;
end
$$;
comment on function interlock.takes_turn(uuid, timestamptz) is
    'Takes one of an owner''s turns to approve. False when none is free, and then nothing is written.';

create function public.begin_execution(
    p_user_id uuid,
    p_proposal_id uuid,
    p_mode text,
    p_operator_id bigint,
    p_trade_key_fingerprint text,
    p_override_cooldown boolean,
    p_override_anti_flip boolean
) returns jsonb
language plpgsql volatile security definer set search_path = '' set timezone = 'UTC'
as $$
declare
    v_now timestamptz := interlock.clock();
    v_answer jsonb;
begin
    if p_proposal_id is null or p_mode is null or p_mode not in ('dry_run', 'live') then
        raise sqlstate 'PT400' using
            message = 'INVALID_APPROVAL', detail = 'An approval names a proposal and the mode dry_run or live.';
    end if;
    perform interlock.act_as('execute');
    perform interlock.require_owner(p_user_id);
    -- GUARD: an owner who loops spends no other owner's share of the database and of the exchange.
    if not exists (select from public.trade_executions as execution where execution.proposal_id = p_proposal_id)
        and not interlock.takes_turn(p_user_id, v_now) then
        return jsonb_build_object('outcome', 'busy');
    end if;
    v_answer := interlock.read_approval(
        p_user_id, p_proposal_id, p_mode, p_operator_id, p_trade_key_fingerprint,
        p_override_cooldown, p_override_anti_flip, v_now
    );
    if v_answer -> 'checks' @> '[{"verdict": "FAILED"}]' then
        perform interlock.keep_refusal(p_user_id, p_proposal_id, v_answer -> 'checks', 'market facts', null, v_now);
    end if;
    return v_answer;
end
$$;
comment on function public.begin_execution(uuid, uuid, text, bigint, text, boolean, boolean) is
    'Reads what an approval needs, in one call: the proposal, its execution if it has one, the policy, and the verdict of every check that needs no market. A refusal is kept. An owner who approves too fast is told busy, before anything is read or written; what has an execution is told at any pace.';

create function public.claim_execution(
    p_user_id uuid,
    p_proposal_id uuid,
    p_attempt_id uuid,
    p_mode text,
    p_operator_id bigint,
    p_trade_key_fingerprint text,
    p_exchange_url text,
    p_policy_hash text,
    p_override_cooldown boolean,
    p_override_anti_flip boolean,
    p_access_timestamp bigint,
    p_access_window_ms integer,
    p_order_value numeric,
    p_request_body text,
    p_market_checks jsonb
) returns jsonb
language plpgsql volatile security definer
set search_path = '' set timezone = 'UTC' set lock_timeout = '500ms'
as $$
declare
    v_now timestamptz;
    v_proposal public.trade_proposals;
    v_execution public.trade_executions;
    v_policy public.trading_policies;
    v_checks jsonb;
    v_misfit text;
begin
    if p_user_id is null or p_proposal_id is null or p_attempt_id is null then
        raise sqlstate 'PT400' using message = 'INVALID_CLAIM', detail = 'A claim names a user, a proposal and an attempt.';
    end if;
    if p_mode is null or p_mode not in ('dry_run', 'live') then
        raise sqlstate 'PT400' using message = 'INVALID_CLAIM', detail = 'The mode of a claim is dry_run or live.';
    end if;
    if p_access_window_ms is null or p_access_window_ms not between 3000 and 10000
        or p_access_timestamp is null or p_access_timestamp not between 1500000000000 and 9999999999999 then
        raise sqlstate 'PT400' using
            message = 'INVALID_CLAIM',
            detail = 'The access timestamp is in ms, and the access window is 3000 to 10000 ms.';
    end if;
    if jsonb_typeof(p_market_checks) is distinct from 'array' then
        raise sqlstate 'PT400' using message = 'INVALID_CLAIM', detail = 'The market checks are a list of verdicts.';
    end if;
    if p_mode = 'live' and coalesce(length(p_exchange_url), 0) not between 1 and 500 then
        raise sqlstate 'PT400' using message = 'INVALID_CLAIM', detail = 'A live claim names the exchange that it is sent to.';
    end if;
    if p_order_value is not null and not (p_order_value > 0 and p_order_value < 'Infinity') then
        raise sqlstate 'PT400' using message = 'INVALID_CLAIM', detail = 'The order value is an amount in EUR.';
    end if;
    perform interlock.act_as('execute');

    -- Locks, each a statement of its own, before the first read. Together they wait at most 2 s.
    begin
        perform set_config('lock_timeout', '300ms', true);
        perform pg_advisory_xact_lock_shared(interlock.lock_class('user gate'), hashtext(p_user_id::text));
        perform set_config('lock_timeout', '800ms', true);
        perform pg_advisory_xact_lock(interlock.lock_class('user claims'), hashtext(p_user_id::text));
        perform set_config('lock_timeout', '100ms', true);
        perform from public.trade_proposals as proposal where proposal.id = p_proposal_id for update;
        perform set_config('lock_timeout', '400ms', true);
        perform pg_advisory_xact_lock(interlock.lock_class('account claims'), 0);
        perform set_config('lock_timeout', '300ms', true);
        perform pg_advisory_xact_lock_shared(interlock.lock_class('global gate'), 0);
    exception
        when lock_not_available or deadlock_detected then
            return jsonb_build_object('outcome', 'busy', 'execution', null, 'checks', '[]'::jsonb);
    end;

    v_now := interlock.clock();
    perform interlock.require_owner(p_user_id);
    select * into v_proposal
    from public.trade_proposals as proposal
    where proposal.id = p_proposal_id and proposal.user_id = p_user_id;
    if not found or v_proposal.legacy is not null then
        raise sqlstate 'PT404' using message = 'PROPOSAL_NOT_FOUND', detail = 'There is no such proposal.';
    end if;

    select * into v_execution from public.trade_executions as execution where execution.proposal_id = p_proposal_id;
    if v_execution.id is not null then
        -- GUARD: the same attempt asks again because its answer was lost; anyone else is told what exists.
        return jsonb_build_object(
            'outcome',
            case
                when v_execution.attempt_id = p_attempt_id and v_execution.status in ('CLAIMED', 'DRY_RUN') then 'claimed'
                else 'exists'
            end,
            'execution', interlock.execution_json(v_execution),
            'checks', v_execution.checks
        );
    end if;

    select * into v_policy from public.trading_policies as policy where policy.user_id = p_user_id;
    v_checks := interlock.decide_checks(
        v_proposal, p_mode, p_operator_id, p_trade_key_fingerprint, coalesce(p_policy_hash, ''),
        coalesce(p_override_cooldown, false), coalesce(p_override_anti_flip, false), p_order_value, v_now
    ) || interlock.merge_market_checks(
        p_market_checks, p_mode, v_proposal.order_type, v_now, p_access_timestamp, p_access_window_ms
    );
    if not interlock.all_passed(v_checks) then
        perform interlock.keep_refusal(p_user_id, p_proposal_id, v_checks, 'claim', p_attempt_id, v_now);
        return jsonb_build_object('outcome', 'refused', 'execution', null, 'checks', v_checks);
    end if;

    v_misfit := interlock.request_misfit(
        p_request_body, v_proposal, v_policy.policy, p_mode,
        case p_mode when 'live' then p_operator_id end, p_order_value
    );
    if v_misfit is not null then
        raise sqlstate 'PT400' using message = 'REQUEST_DOES_NOT_FIT', detail = v_misfit;
    end if;

    -- From its first execution on, a market's orders are compared, whatever the allowlist says later. A run that compares
    -- it holds its mark: only the first claim in it may have to wait for that, and not for long.
    if not exists (select from interlock.market_marks as mark where mark.market = v_proposal.market and mark.traded) then
        begin
            perform set_config('lock_timeout', '100ms', true);
            insert into interlock.market_marks as mark (market, read_to, watched_since, traded)
            values (v_proposal.market, v_now - interval '24 hours', v_now, true)
            on conflict (market) do update set traded = true where not mark.traded;
        exception
            when lock_not_available or deadlock_detected then
                return jsonb_build_object('outcome', 'busy', 'execution', null, 'checks', '[]'::jsonb);
        end;
    end if;

    insert into public.trade_executions (
        id, user_id, proposal_id, idempotency_key, attempt_id, status, mode, operator_id, trade_key_fingerprint,
        exchange_url, market, side, order_value, policy_hash, policy_snapshot, checks, override_cooldown, override_anti_flip,
        request, claimed_at, access_timestamp, access_window_ms, settled_at, next_check_at
    ) values (
        interlock.execution_id(p_proposal_id), p_user_id, p_proposal_id, p_proposal_id::text, p_attempt_id,
        case p_mode when 'live' then 'CLAIMED' else 'DRY_RUN' end, p_mode,
        case p_mode when 'live' then p_operator_id end, case p_mode when 'live' then p_trade_key_fingerprint end,
        case p_mode when 'live' then p_exchange_url end, v_proposal.market, v_proposal.side,
        case v_proposal.side when 'buy' then v_proposal.amount_quote else p_order_value end,
        v_policy.policy_hash, v_policy.policy, v_checks,
        coalesce(p_override_cooldown, false), coalesce(p_override_anti_flip, false),
        jsonb_build_object('method', 'POST', 'path', '/v2/order', 'body', p_request_body),
        v_now, p_access_timestamp, p_access_window_ms,
        case p_mode when 'dry_run' then v_now end,
        case p_mode when 'live' then v_now + make_interval(secs => p_access_window_ms / 1000.0) end
    )
    returning * into v_execution;
    update public.trade_proposals
    set
        status = interlock.proposal_status_for(v_execution.status),
        override_cooldown = v_execution.override_cooldown,
        override_anti_flip = v_execution.override_anti_flip
    where id = p_proposal_id;
    return jsonb_build_object(
        'outcome', 'claimed', 'execution', interlock.execution_json(v_execution), 'checks', v_checks);
end
$$;
comment on function public.claim_execution(
    uuid, uuid, uuid, text, bigint, text, text, text, boolean, boolean, bigint, integer, numeric, text, jsonb
) is
    'Claims the one execution of a proposal, or says why not: claimed, exists, refused (kept in the audit) or busy. Everything that needs no market is decided again here, after the locks, from stored rows.';

-- Record

create function interlock.status_from_exchange(p_word text, p_filled numeric) returns text
language sql immutable parallel safe set search_path = ''
as $$
    select case
        when p_word in ('new', 'awaitingTrigger') then case when p_filled > 0 then 'PARTIALLY_FILLED' else 'OPEN' end
        when p_word = 'partiallyFilled' and p_filled > 0 then 'PARTIALLY_FILLED'
        when p_word = 'filled' and p_filled > 0 then 'FILLED'
        when p_word like 'canceled%' or p_word = 'expired' then 'CANCELED'
        when p_word = 'rejected' and p_filled = 0 then 'REJECTED'
        else 'UNKNOWN'
    end
$$;
comment on function interlock.status_from_exchange(text, numeric) is
    'The status that the exchange''s word means. Any word that is not listed means UNKNOWN.';

create function interlock.order_misfit(p_order jsonb, p_execution public.trade_executions) returns text
language plpgsql immutable set search_path = ''
as $$
declare
    v_field text;
begin
    if jsonb_typeof(p_order) is distinct from 'object' or coalesce(length(p_order ->> 'orderId'), 0) not between 1 and 200 then
        return 'an order object with an orderId is needed';
    end if;
    if lower(p_order ->> 'clientOrderId') is distinct from p_execution.id::text
        or p_order ->> 'market' is distinct from p_execution.market
        or p_order ->> 'side' is distinct from p_execution.side then
        return 'the order''s clientOrderId, market and side must be the execution''s';
    end if;
    foreach v_field in array array['filledAmount', 'filledAmountQuote', 'feePaid'] loop
        if interlock.as_decimal(coalesce(p_order ->> v_field, '0')) is null then
            return format('%s must be a decimal', v_field);
        end if;
        if v_field <> 'feePaid' and interlock.as_decimal(p_order ->> v_field) < 0 then
            return format('%s must not be negative', v_field);
        end if;
    end loop;
    if length(p_order ->> 'feeCurrency') > 20 then
        return 'feeCurrency must be the name of a currency';
    end if;
    return null;
end
$$;
comment on function interlock.order_misfit(jsonb, public.trade_executions) is
    'Why an order object is no fact about this execution, or null when it is one.';

create function interlock.order_time(p_ms text) returns timestamptz
language sql immutable set search_path = ''
as $$ select to_timestamp(case when p_ms ~ '^[0-9]{12,14}$' then p_ms::numeric end / 1000) $$;
comment on function interlock.order_time(text) is 'An exchange time in ms as an instant, or null.';

create function interlock.fills_are_settled(p_order jsonb, p_filled numeric) returns boolean
language sql immutable set search_path = ''
as $$
    select p_filled = 0 or (
        coalesce(jsonb_typeof(p_order -> 'fills') = 'array', false)
        and jsonb_array_length(p_order -> 'fills') > 0
        and not exists (
            select from jsonb_array_elements(p_order -> 'fills') as fill
            where fill.value ->> 'settled' is distinct from 'true'
        )
    )
$$;
comment on function interlock.fills_are_settled(jsonb, numeric) is 'Is the fee of every fill of an order final?';

create function interlock.store_fill(
    p_execution public.trade_executions, p_order jsonb, p_now timestamptz
) returns void
language plpgsql volatile set search_path = ''
as $$
declare
    v_amount numeric := coalesce(p_order ->> 'filledAmount', '0')::numeric;
    v_quote numeric := coalesce(p_order ->> 'filledAmountQuote', '0')::numeric;
begin
    if v_amount <= 0 then
        return;
    end if;
    insert into public.trade_history as history (
        user_id, asset, market, side, amount, amount_quote, price, fee, fee_currency,
        execution_id, exchange_order_id, executed_at
    ) values (
        p_execution.user_id, p_execution.asset, p_execution.market, p_execution.side, v_amount, v_quote,
        case when v_quote > 0 then round(v_quote / v_amount, 12) end,
        coalesce(p_order ->> 'feePaid', '0')::numeric, p_order ->> 'feeCurrency',
        p_execution.id, p_order ->> 'orderId',
        coalesce(interlock.order_time(p_order ->> 'updated'), interlock.order_time(p_order ->> 'created'), p_now)
    )
    on conflict on constraint one_row_an_order do update
    set
        amount = greatest(history.amount, excluded.amount),
        amount_quote = greatest(history.amount_quote, excluded.amount_quote),
        price = case
            when excluded.amount_quote >= history.amount_quote and excluded.amount >= history.amount then excluded.price
            else history.price
        end,
        fee = greatest(history.fee, excluded.fee),
        fee_currency = coalesce(excluded.fee_currency, history.fee_currency),
        executed_at = greatest(history.executed_at, excluded.executed_at)
    where excluded.amount > history.amount or excluded.amount_quote > history.amount_quote
        or excluded.fee > history.fee or history.fee_currency is null and excluded.fee_currency is not null;
end
$$;
comment on function interlock.store_fill(public.trade_executions, jsonb, timestamptz) is
    'What an order filled, in trade_history: one row an order, growing and never shrinking.';

create function interlock.check_again_after(p_attempts bigint, p_age interval) returns interval
language sql immutable strict parallel safe set search_path = ''
as $$
    select least(
        case when p_age < interval '24 hours' then interval '30 minutes' else interval '6 hours' end,
        interval '10 seconds' * power(2, least(p_attempts, 12))
    )
$$;
comment on function interlock.check_again_after(bigint, interval) is
    'How long to wait after a look-up that told nothing new: it doubles, up to half an hour, and up to six hours once an execution is older than a day and only a person settles it.';

create function interlock.apply_outcome(
    p_execution public.trade_executions,
    p_outcome text,
    p_order jsonb,
    p_response jsonb,
    p_error_code text,
    p_now timestamptz
) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
    v_old public.trade_executions := p_execution;
    v_new public.trade_executions := p_execution;
    v_filled numeric := coalesce(p_order ->> 'filledAmount', '0')::numeric;
    v_quote numeric := coalesce(p_order ->> 'filledAmountQuote', '0')::numeric;
    v_fee numeric := coalesce(p_order ->> 'feePaid', '0')::numeric;
    v_updated bigint := case when p_order ->> 'updated' ~ '^[0-9]{12,14}$' then (p_order ->> 'updated')::bigint end;
    v_conclusion boolean := p_execution.status in ('NOT_PLACED', 'REJECTED');
    v_contradicted boolean := false;
    v_known boolean;
    v_fee_eur numeric;
    v_rounding numeric;
    v_halt text;
begin
    if p_outcome <> 'placed' then
        -- GUARD: only what is still open takes a conclusion; a fact or a conclusion is never replaced by one.
        if v_old.status not in ('CLAIMED', 'UNKNOWN') or v_old.exchange_order_id is not null
            or (p_outcome = 'unknown' and v_old.status = 'UNKNOWN') then
            return jsonb_build_object('outcome', 'unchanged', 'execution', interlock.execution_json(v_old));
        end if;
        v_new.status := case p_outcome when 'unknown' then 'UNKNOWN' when 'rejected' then 'REJECTED' else 'NOT_PLACED' end;
        v_new.response := coalesce(p_response, v_old.response);
        v_new.error_code := coalesce(p_error_code, v_old.error_code);
    else
        -- A second order under one id is an intruder, whatever its state: its fills are stored and trading stops.
        if v_old.exchange_order_id is not null and v_old.exchange_order_id <> p_order ->> 'orderId' then
            perform interlock.store_fill(v_old, p_order, p_now);
            -- It halts when it is first seen; a person who has looked at it and resumed is not halted again.
            v_known := exists (
                select from public.audit_events as event
                where event.execution_id = v_old.id
                    and event.event = 'SECOND_ORDER'
                    and event.detail #>> '{found,orderId}' = p_order ->> 'orderId'
            );
            if not v_known then
                perform interlock.write_audit('SECOND_ORDER', v_old.user_id, v_old.proposal_id, v_old.id,
                    jsonb_build_object('known', v_old.exchange_order_id, 'found', p_order));
                perform interlock.halt(format('a second order under the id of execution %s', v_old.id));
            end if;
            -- It may hide the execution's own order from look-ups, which the comparison then settles.
            update public.trade_executions
            set next_check_at = p_now + interlock.check_again_after(check_attempts, p_now - claimed_at)
            where id = v_old.id and next_check_at is not null;
            return jsonb_build_object(
                'outcome', case when v_known then 'unchanged' else 'contradicted' end,
                'execution', interlock.execution_json(v_old)
            );
        end if;
        -- GUARD: a record older than the stored one changes nothing.
        if v_updated < v_old.exchange_updated then
            return jsonb_build_object('outcome', 'unchanged', 'execution', interlock.execution_json(v_old));
        end if;
        v_contradicted := v_conclusion and (v_old.status = 'NOT_PLACED' or v_old.exchange_order_id is null
            or interlock.status_from_exchange(p_order ->> 'status', v_filled) <> 'REJECTED');
        v_new.exchange_order_id := p_order ->> 'orderId';
        v_new.exchange_updated := coalesce(v_updated, v_old.exchange_updated);
        v_new.filled_amount := greatest(v_old.filled_amount, v_filled);
        v_new.filled_amount_quote := greatest(v_old.filled_amount_quote, v_quote);
        v_new.fee := case when v_old.filled_amount = 0 then v_fee else greatest(v_old.fee, v_fee) end;
        v_new.fee_currency := coalesce(p_order ->> 'feeCurrency', v_old.fee_currency);
        v_new.fills_settled := v_old.fills_settled or interlock.fills_are_settled(p_order, v_filled);
        v_fee_eur := interlock.fee_in_eur(
            v_new.fee, v_new.fee_currency, v_new.market, v_new.filled_amount, v_new.filled_amount_quote);
        -- Each fill may be rounded to the cent. An order that does not list them had those that were reckoned with.
        v_rounding := coalesce(
            case jsonb_typeof(p_order -> 'fills') when 'array' then nullif(jsonb_array_length(p_order -> 'fills'), 0) end * 0.01,
            interlock.rounding_room(v_old.order_value));
        v_new.response := jsonb_build_object('http_status', coalesce(p_response -> 'http_status', '"200"'), 'body', p_order);
        v_new.status := interlock.status_from_exchange(p_order ->> 'status', v_filled);
        if not v_contradicted and not (
            (v_old.status = 'CLAIMED' and v_new.status <> 'CLAIMED')
            or v_old.status = 'UNKNOWN'
            or (v_old.status = 'OPEN' and v_new.status in ('PARTIALLY_FILLED', 'FILLED', 'CANCELED'))
            or (v_old.status = 'PARTIALLY_FILLED' and v_new.status in ('FILLED', 'CANCELED'))
        ) then
            v_new.status := v_old.status;
        end if;
        if v_contradicted then
            v_halt := format('execution %s was concluded %s, but the exchange has its order', v_old.id, v_old.status);
        elsif (v_new.filled_amount, v_new.filled_amount_quote, v_new.fee, v_new.fee_currency)
            is not distinct from (v_old.filled_amount, v_old.filled_amount_quote, v_old.fee, v_old.fee_currency) then
            null; -- nothing new: whoever resumed after an earlier record is not halted again
        elsif v_new.filled_amount > ((v_old.request ->> 'body')::jsonb ->> 'amount')::numeric then
            v_halt := format('execution %s filled more than was ordered', v_old.id);
            perform interlock.write_audit('OVERFILLED', v_old.user_id, v_old.proposal_id, v_old.id,
                jsonb_build_object('ordered', (v_old.request ->> 'body')::jsonb, 'found', p_order));
        elsif v_fee_eur > v_new.filled_amount_quote * interlock.taker_fee() + v_rounding then
            v_halt := format('execution %s paid a dearer fee than 0.25 %%', v_old.id);
            perform interlock.write_audit('DEARER_FEE', v_old.user_id, v_old.proposal_id, v_old.id,
                jsonb_build_object('ordered', (v_old.request ->> 'body')::jsonb, 'found', p_order));
        elsif v_old.side = 'buy' and v_old.order_value
            < v_new.filled_amount_quote + (case v_new.fee_currency when 'EUR' then v_new.fee else 0 end) then
            v_halt := format('execution %s spent more than was approved', v_old.id);
            perform interlock.write_audit('OVERSPENT', v_old.user_id, v_old.proposal_id, v_old.id,
                jsonb_build_object('ordered', (v_old.request ->> 'body')::jsonb, 'found', p_order));
        end if;
        -- Nobody can say whether it is fair, but it took no EUR: it is told, and counted as the most, and halts nobody.
        if v_fee_eur is null and (v_new.fee_currency is not null or v_new.fills_settled) and not (
            v_old.fee_eur is null and (v_old.fee_currency is not null or v_old.fills_settled)
        ) then
            perform interlock.write_audit('UNVALUED_FEE', v_old.user_id, v_old.proposal_id, v_old.id,
                jsonb_build_object('ordered', (v_old.request ->> 'body')::jsonb, 'found', p_order));
        end if;
    end if;

    v_new.settled_at := case
        when interlock.is_unsettled(v_new.status) then null
        else coalesce(v_old.settled_at, p_now)
    end;
    v_new.check_attempts := case when v_new.status <> v_old.status then 0 else v_old.check_attempts end;
    v_new.next_check_at := case
        when v_new.status = 'CLAIMED' then v_old.next_check_at
        when v_new.status in ('NOT_PLACED', 'REJECTED') and v_new.exchange_order_id is null then null
        when not interlock.is_unsettled(v_new.status) and p_now < v_new.settled_at + interval '2 minutes'
            then p_now + interval '30 seconds'
        when not interlock.is_unsettled(v_new.status) and v_new.fills_settled then null
        else p_now + interlock.check_again_after(v_new.check_attempts, p_now - v_old.claimed_at)
    end;
    if to_jsonb(v_new) is distinct from to_jsonb(v_old) then
        update public.trade_executions
        set
            status = v_new.status,
            response = v_new.response,
            error_code = v_new.error_code,
            exchange_order_id = v_new.exchange_order_id,
            exchange_updated = v_new.exchange_updated,
            filled_amount = v_new.filled_amount,
            filled_amount_quote = v_new.filled_amount_quote,
            fee = v_new.fee,
            fee_currency = v_new.fee_currency,
            fills_settled = v_new.fills_settled,
            settled_at = v_new.settled_at,
            next_check_at = v_new.next_check_at,
            check_attempts = v_new.check_attempts
        where id = v_old.id
        returning * into v_new;
    end if;
    if p_outcome = 'placed' then
        perform interlock.store_fill(v_new, p_order, p_now);
    end if;
    update public.trade_proposals
    set status = interlock.proposal_status_for(v_new.status)
    where id = v_new.proposal_id and status <> interlock.proposal_status_for(v_new.status);

    if v_contradicted then
        perform interlock.write_audit('CONTRADICTED', v_old.user_id, v_old.proposal_id, v_old.id,
            jsonb_build_object('concluded', v_old.status, 'order', p_order));
    end if;
    if v_halt is not null then
        perform interlock.halt(v_halt);
    end if;
    return jsonb_build_object(
        'outcome', case when v_contradicted then 'contradicted' else 'recorded' end,
        'execution', interlock.execution_json(v_new)
    );
end
$$;
comment on function interlock.apply_outcome(public.trade_executions, text, jsonb, jsonb, text, timestamptz) is
    'Moves a locked execution by the state diagram, its proposal and its history with it. A fact wins over a conclusion, is audited as CONTRADICTED and halts trading.';

create function public.record_execution_result(
    p_execution_id uuid,
    p_actor text,
    p_attempt_id uuid,
    p_outcome text,
    p_order jsonb,
    p_response jsonb,
    p_error_code text
) returns jsonb
language plpgsql volatile security definer set search_path = '' set timezone = 'UTC' set lock_timeout = '2s'
as $$
declare
    v_execution public.trade_executions;
    v_gate text := 'not asked';
    v_misfit text;
    v_answer jsonb;
begin
    if p_actor is null or p_actor not in ('execute', 'cleanup') then
        raise sqlstate 'PT400' using message = 'INVALID_RESULT', detail = 'The actor is execute or cleanup.';
    end if;
    if p_outcome is null or p_outcome not in ('placed', 'rejected', 'not_placed', 'unknown') then
        raise sqlstate 'PT400' using
            message = 'INVALID_RESULT', detail = 'The outcome is placed, rejected, not_placed or unknown.';
    end if;
    if length(p_error_code) > 200 then
        raise sqlstate 'PT400' using message = 'INVALID_RESULT', detail = 'An error code has at most 200 characters.';
    end if;
    perform interlock.act_as(p_actor);

    select * into v_execution from public.trade_executions as execution where execution.id = p_execution_id;
    if not found then
        raise sqlstate 'PT404' using message = 'EXECUTION_NOT_FOUND', detail = 'There is no such execution.';
    end if;
    if v_execution.mode = 'dry_run' then
        raise sqlstate 'PT400' using message = 'INVALID_RESULT', detail = 'A dry run has no result.';
    end if;
    if p_outcome = 'placed' then
        v_misfit := interlock.order_misfit(p_order, v_execution);
        if v_misfit is not null then
            raise sqlstate 'PT400' using message = 'INVALID_RESULT', detail = v_misfit;
        end if;
    elsif p_outcome in ('rejected', 'not_placed') and p_attempt_id is distinct from v_execution.attempt_id then
        raise sqlstate 'PT400' using
            message = 'INVALID_RESULT', detail = 'Only the process that claimed can conclude that no order came of it.';
    end if;

    -- Gate before rows: whatever halts lets go of its rows and starts again with the gate.
    loop
        begin
            if v_gate = 'asked for' then
                perform interlock.ask_for_the_gate();
            elsif v_gate = 'waived' then
                perform set_config('interlock.gate_waived', 'on', true);
            end if;
            select * into strict v_execution
            from public.trade_executions as execution
            where execution.id = p_execution_id
            for update;
            v_answer := interlock.apply_outcome(
                v_execution, p_outcome, p_order, p_response, p_error_code, interlock.clock());
            perform set_config('interlock.gate_waived', '', true);
            return v_answer;
        exception
            when sqlstate 'IL001' then
                v_gate := 'asked for';
            when lock_not_available or deadlock_detected then
                -- A claim may hold the proposal's row and wait for the gate: the fact comes first.
                if v_gate <> 'asked for' then
                    raise;
                end if;
                v_gate := 'waived';
        end;
    end loop;
end
$$;
comment on function public.record_execution_result(uuid, text, uuid, text, jsonb, jsonb, text) is
    'Records what the exchange said of an execution. Harmless to repeat; an older record changes nothing; a fact wins over a conclusion.';
