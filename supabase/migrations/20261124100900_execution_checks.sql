-- Purpose: every check that needs no market, decided from stored rows; the same code reports before and decides in the claim.
-- Objects: interlock.verdict, interlock.comparison_is_stale, comparison_json, interlock.counted_today, last_trades, running_windows, interlock.decide_checks, interlock.merge_market_checks, interlock.request_misfit.

set local lock_timeout = '5s';
set local statement_timeout = '60s';

create function interlock.verdict(p_check text, p_failed_with text, p_facts jsonb) returns jsonb
language sql immutable parallel safe set search_path = ''
as $$
    select jsonb_build_object(
        'check', p_check,
        'verdict', case when p_failed_with is null then 'PASSED' else 'FAILED' end,
        'code', p_failed_with,
        'facts', interlock.row_json(coalesce(p_facts, '{}'))
    )
$$;
comment on function interlock.verdict(text, text, jsonb) is 'One check, its verdict and the facts that decided it.';

create function interlock.undecided(p_check text, p_verdict text, p_facts jsonb default '{}') returns jsonb
language sql immutable parallel safe set search_path = ''
as $$
    select jsonb_build_object('check', p_check, 'verdict', p_verdict, 'code', null, 'facts', interlock.row_json(p_facts))
$$;
comment on function interlock.undecided(text, text, jsonb) is 'A check that is NOT_EVALUATED (does not pass) or NOT_APPLICABLE (passes).';

create function interlock.all_passed(p_checks jsonb) returns boolean
language sql immutable strict parallel safe set search_path = ''
as $$
    select coalesce(bool_and(verdict.value ->> 'verdict' in ('PASSED', 'NOT_APPLICABLE')), false)
    from jsonb_array_elements(p_checks) as verdict
$$;
comment on function interlock.all_passed(jsonb) is 'Did every check pass? No checks at all is no.';

create function interlock.comparison_is_stale(p_reconciled_at timestamptz, p_now timestamptz) returns boolean
language sql immutable parallel safe set search_path = ''
as $$ select coalesce(p_reconciled_at < p_now - interval '15 minutes', true) $$;
comment on function interlock.comparison_is_stale(timestamptz, timestamptz) is
    'Is the last comparison of orders with approvals too old for live trading? None yet is too old.';

create function interlock.comparison_json(p_controls public.trading_controls, p_now timestamptz) returns jsonb
language sql stable set search_path = ''
as $$
    select jsonb_build_object(
        'reconciled_at', p_controls.reconciled_at,
        'age_seconds', floor(extract(epoch from p_now - p_controls.reconciled_at))::bigint::text,
        'stale', comparison.stale,
        'unread_markets', (
            select coalesce(jsonb_agg(mark.market order by mark.read_to, mark.market), '[]')
            from interlock.market_marks as mark
            where comparison.stale
                and interlock.comparison_is_stale(mark.read_to, p_now)
                -- Before the first comparison every market is missing; after it, one that was never read holds nothing back.
                and (interlock.holds_back(mark) or p_controls.reconciled_at is null)
        ),
        'warnings', (
            select coalesce(
                jsonb_agg(jsonb_build_object(
                    'code', 'OPERATOR_IDS_NOT_SHOWN',
                    'markets', hidden.markets,
                    'sentence', 'The exchange shows no operatorId on orders: one that Interlock did not send would not be noticed. If nothing else trades on the account, set account_is_dedicated.'
                )),
                '[]'
            )
            from (
                select array_agg(hiding.market order by hiding.market) as markets
                from interlock.markets_without_operator_ids() as hiding (market)
                where not p_controls.account_is_dedicated and p_controls.mode = 'live'
            ) as hidden
            where hidden.markets is not null
        )
    )
    from (
        select p_controls.mode = 'live' and interlock.comparison_is_stale(p_controls.reconciled_at, p_now) as stale
    ) as comparison
$$;
comment on function interlock.comparison_json(public.trading_controls, timestamptz) is
    'How old the comparison of orders with approvals is, whether that stops live trading, and then the markets that were not read for so long, the oldest first; and what it cannot see.';

create function interlock.value_check(
    p_check text, p_code text, p_order_value numeric, p_used numeric, p_limit numeric
) returns jsonb
language sql immutable parallel safe set search_path = ''
as $$
    select case
        when p_order_value is null then
            interlock.undecided(p_check, 'NOT_EVALUATED', jsonb_build_object('limit_eur', p_limit, 'used_eur', p_used))
        else interlock.verdict(
            p_check,
            case when p_used + p_order_value <= p_limit then null else p_code end,
            jsonb_build_object('order_value_eur', p_order_value, 'used_eur', p_used, 'limit_eur', p_limit)
        )
    end
$$;
comment on function interlock.value_check(text, text, numeric, numeric, numeric) is
    'Does the order fit into what is left of a limit? Not evaluated while the value of a sell is not known.';

create function interlock.counted_today(
    p_user_id uuid, p_mode text, p_day timestamptz, p_assumed numeric,
    out trades bigint, out value numeric, out all_value numeric
)
language sql stable set search_path = ''
as $$
    with today as (
        select
            coalesce(spent.user_id, open.user_id) as user_id,
            greatest(spent.value, open.value) as value
        from (
            select
                history.user_id,
                coalesce(history.execution_id, history.id) as source_id,
                sum(coalesce(history.value_eur, p_assumed)) as value
            from public.trade_history as history
            where history.counted_at >= p_day and (history.mode is null or history.mode = p_mode)
            group by history.user_id, coalesce(history.execution_id, history.id)
        ) as spent
        full join (
            select execution.user_id, execution.id, execution.order_value as value
            from public.trade_executions as execution
            where execution.mode = p_mode
                and execution.claimed_at >= p_day
                and execution.status in ('CLAIMED', 'UNKNOWN', 'OPEN', 'PARTIALLY_FILLED', 'DRY_RUN')
        ) as open on open.id = spent.source_id
    )
    select
        count(*) filter (where today.user_id = p_user_id),
        coalesce(sum(today.value) filter (where today.user_id = p_user_id), 0),
        coalesce(sum(today.value), 0)
    from today
$$;
comment on function interlock.counted_today(uuid, text, timestamptz, numeric) is
    'An owner''s trades and order value since p_day, and everybody''s value. Each execution counts once, at the higher of what it spent and what it may still spend; a trade of unknown value counts as p_assumed.';

create function interlock.last_trades(
    p_user_id uuid, p_asset text, p_mode text, p_since timestamptz, p_opposite_to text default null
) returns timestamptz
language sql stable set search_path = ''
as $$
    select greatest(
        (
            select max(history.counted_at)
            from public.trade_history as history
            where history.user_id = p_user_id
                and history.asset = p_asset
                and history.counted_at > p_since
                and (history.mode is null or history.mode = p_mode)
                and (p_opposite_to is null or history.side <> p_opposite_to)
        ),
        (
            select max(execution.claimed_at)
            from public.trade_executions as execution
            where execution.user_id = p_user_id
                and execution.asset = p_asset
                and execution.claimed_at > p_since
                and execution.mode = p_mode
                and execution.status in ('CLAIMED', 'UNKNOWN', 'OPEN', 'PARTIALLY_FILLED', 'DRY_RUN')
                and (p_opposite_to is null or execution.side <> p_opposite_to)
        )
    )
$$;
comment on function interlock.last_trades(uuid, text, text, timestamptz, text) is
    'When an owner last traded an asset after p_since (on the side opposite to p_opposite_to, if given), from history and from executions that are unsettled or dry runs.';

create function interlock.running_windows(p_user_id uuid, p_mode text, p_policy jsonb, p_now timestamptz) returns jsonb
language sql stable set search_path = ''
as $$
    select coalesce(
        jsonb_agg(
            jsonb_build_object(
                'asset', asset.name,
                'cooldown_until', cooldown.at + make_interval(mins => (p_policy ->> 'cooldown_minutes')::integer),
                'no_sell_until', buys.at + make_interval(mins => (p_policy ->> 'anti_flip_minutes')::integer),
                'no_buy_until', sells.at + make_interval(mins => (p_policy ->> 'anti_flip_minutes')::integer)
            )
            order by asset.name
        ) filter (where cooldown.at is not null or buys.at is not null or sells.at is not null),
        '[]'
    )
    from (
        select distinct split_part(item.value, '-', 1) as name
        from jsonb_array_elements_text(p_policy -> 'allowlist') as item
    ) as asset
    cross join lateral interlock.last_trades(
        p_user_id, asset.name, p_mode, p_now - make_interval(mins => (p_policy ->> 'cooldown_minutes')::integer)
    ) as cooldown (at)
    cross join lateral interlock.last_trades(
        p_user_id, asset.name, p_mode, p_now - make_interval(mins => (p_policy ->> 'anti_flip_minutes')::integer), 'sell'
    ) as buys (at)
    cross join lateral interlock.last_trades(
        p_user_id, asset.name, p_mode, p_now - make_interval(mins => (p_policy ->> 'anti_flip_minutes')::integer), 'buy'
    ) as sells (at)
$$;
comment on function interlock.running_windows(uuid, text, jsonb, timestamptz) is
    'Running cooldowns and anti-flip windows of the allowlisted assets.';

create function interlock.decide_checks(
    p_proposal public.trade_proposals,
    p_mode text,
    p_operator_id bigint,
    p_trade_key_fingerprint text,
    p_policy_hash text,
    p_override_cooldown boolean,
    p_override_anti_flip boolean,
    p_order_value numeric,
    p_now timestamptz
) returns jsonb
language plpgsql stable set search_path = ''
as $$
declare
    v_controls public.trading_controls;
    v_owner public.trading_policies;
    v_policy jsonb;
    v_value numeric := case p_proposal.side when 'buy' then p_proposal.amount_quote else p_order_value end;
    v_cooldown interval;
    v_anti_flip interval;
    v_assumed numeric;
    v_state text;
    v_trades bigint;
    v_spent numeric;
    v_all_spent numeric;
    v_last timestamptz;
    v_opposite timestamptz;
    v_unsettled uuid;
    v_quote text := split_part(p_proposal.market, '-', 2);
    v_checks jsonb := '[]';
begin
    select * into strict v_controls from public.trading_controls where singleton;
    select * into v_owner from public.trading_policies as policy where policy.user_id = p_proposal.user_id;
    v_policy := case when interlock.policy_error(v_owner.policy) is null then v_owner.policy end;
    v_cooldown := make_interval(mins => (v_policy ->> 'cooldown_minutes')::integer);
    v_anti_flip := make_interval(mins => (v_policy ->> 'anti_flip_minutes')::integer);
    v_assumed := (v_policy #>> '{limits,order,max_eur}')::numeric;

    -- One statement, one snapshot: each execution counts once, at the higher of what it spent and what it may still spend.
    select
        today.trades,
        today.value,
        today.all_value,
        interlock.last_trades(p_proposal.user_id, p_proposal.asset, v_controls.mode, p_now - v_cooldown),
        interlock.last_trades(p_proposal.user_id, p_proposal.asset, v_controls.mode, p_now - v_anti_flip, p_proposal.side),
        (
            select execution.id
            from public.trade_executions as execution
            where execution.user_id = p_proposal.user_id
                and execution.market = p_proposal.market
                and execution.status in ('CLAIMED', 'UNKNOWN', 'OPEN', 'PARTIALLY_FILLED')
            limit 1
        )
    into v_trades, v_spent, v_all_spent, v_last, v_opposite, v_unsettled
    from interlock.counted_today(
        p_proposal.user_id, v_controls.mode, date_trunc('day', p_now, 'UTC'), coalesce(v_assumed, v_controls.max_order_eur)
    ) as today;

    v_checks := v_checks
        || interlock.verdict('proposal_pending',
            case when p_proposal.status <> 'PENDING' then 'PROPOSAL_NOT_PENDING' end,
            jsonb_build_object('status', p_proposal.status))
        || interlock.verdict('proposal_not_expired',
            case when p_proposal.expires_at > p_now then null else 'PROPOSAL_EXPIRED' end,
            jsonb_build_object('expires_at', p_proposal.expires_at, 'now', p_now));

    -- GUARD: without a valid policy nothing that it would decide can pass.
    if v_policy is null then
        return v_checks
            || interlock.verdict('policy_complete', 'POLICY_INVALID',
                jsonb_build_object('error', coalesce(interlock.policy_error(v_owner.policy), 'there is no policy')))
            || coalesce(
                (
                    select jsonb_agg(interlock.undecided(name.value, 'NOT_EVALUATED') order by name.ordinality)
                    from unnest(array[
                        'allowlist', 'quote_currency', 'order_size', 'confidence', 'cooldown', 'anti_flip', 'trading_state',
                        'daily_trades', 'daily_value', 'account_order', 'account_daily_value', 'unsettled',
                        'policy_unchanged', 'mode', 'account', 'reconciliation'
                    ]) with ordinality as name (value, ordinality)
                ),
                '[]'
            );
    end if;

    v_state := case
        when interlock.strictness(v_owner.trading_state) > interlock.strictness(v_controls.trading_state)
            then v_owner.trading_state
        else v_controls.trading_state
    end;

    v_checks := v_checks
        || interlock.verdict('allowlist',
            case
                when jsonb_array_length(v_policy -> 'allowlist') = 0 then 'ALLOWLIST_EMPTY'
                when not v_policy -> 'allowlist' ? p_proposal.market then 'NOT_ALLOWLISTED'
            end,
            jsonb_build_object('market', p_proposal.market, 'allowlist', v_policy -> 'allowlist'))
        || interlock.verdict('quote_currency',
            case when v_quote is distinct from 'EUR' then 'QUOTE_NOT_EUR' end,
            jsonb_build_object('quote', v_quote))
        || case
            when v_value is null then interlock.undecided('order_size', 'NOT_EVALUATED')
            else interlock.verdict('order_size',
                case
                    when v_value < (v_policy #>> '{limits,order,min_eur}')::numeric then 'SIZE_BELOW_MINIMUM'
                    when v_value <= (v_policy #>> '{limits,order,max_eur}')::numeric then null
                    else 'SIZE_ABOVE_MAXIMUM'
                end,
                jsonb_build_object(
                    'order_value_eur', v_value,
                    'min_eur', v_policy #> '{limits,order,min_eur}',
                    'max_eur', v_policy #> '{limits,order,max_eur}'
                ))
        end
        || interlock.verdict('confidence',
            case when p_proposal.confidence >= (v_policy ->> 'min_confidence')::numeric then null else 'CONFIDENCE_TOO_LOW' end,
            jsonb_build_object('confidence', p_proposal.confidence, 'min_confidence', v_policy -> 'min_confidence'))
        || interlock.verdict('cooldown',
            case when v_last is not null and not p_override_cooldown then 'COOLDOWN_ACTIVE' end,
            jsonb_build_object(
                'asset', p_proposal.asset, 'last_trade_at', v_last, 'until', v_last + v_cooldown,
                'minutes', v_policy -> 'cooldown_minutes', 'overridden', p_override_cooldown and v_last is not null
            ))
        || interlock.verdict('anti_flip',
            case when v_opposite is not null and not p_override_anti_flip then 'ANTI_FLIP_ACTIVE' end,
            jsonb_build_object(
                'asset', p_proposal.asset, 'last_opposite_trade_at', v_opposite, 'until', v_opposite + v_anti_flip,
                'minutes', v_policy -> 'anti_flip_minutes', 'overridden', p_override_anti_flip and v_opposite is not null
            ))
        || interlock.verdict('trading_state',
            case
                when v_state = 'ACTIVE' then null
                when v_state = 'REDUCE_ONLY' then case when p_proposal.side = 'sell' then null else 'REDUCE_ONLY' end
                else 'TRADING_HALTED'
            end,
            jsonb_build_object(
                'global_state', v_controls.trading_state, 'global_reason', v_controls.reason,
                'owner_state', v_owner.trading_state, 'owner_reason', v_owner.state_reason
            ))
        || interlock.verdict('daily_trades',
            case when v_trades < (v_policy #>> '{limits,daily,trades}')::integer then null else 'DAILY_TRADES_EXHAUSTED' end,
            jsonb_build_object('used', v_trades, 'limit', v_policy #> '{limits,daily,trades}'))
        || interlock.value_check('daily_value', 'DAILY_VALUE_EXHAUSTED', v_value, v_spent,
            (v_policy #>> '{limits,daily,value_eur}')::numeric)
        || interlock.value_check('account_order', 'ACCOUNT_LIMIT_EXHAUSTED', v_value, 0, v_controls.max_order_eur)
        || interlock.value_check('account_daily_value', 'ACCOUNT_LIMIT_EXHAUSTED', v_value, v_all_spent,
            v_controls.max_daily_value_eur)
        || interlock.verdict('unsettled',
            case when v_unsettled is not null then 'UNSETTLED_EXECUTION' end,
            jsonb_build_object('market', p_proposal.market, 'execution_id', v_unsettled))
        || interlock.verdict('policy_complete', null, '{}')
        || interlock.verdict('policy_unchanged',
            case when p_policy_hash is not null and p_policy_hash <> v_owner.policy_hash then 'POLICY_CHANGED' end,
            jsonb_build_object(
                'judged_by', v_owner.policy_hash, 'read', p_policy_hash, 'proposed_under', p_proposal.policy_hash
            ))
        || interlock.verdict('mode',
            case when p_mode is distinct from v_controls.mode then 'MODE_MISMATCH' end,
            jsonb_build_object('function', p_mode, 'registered', v_controls.mode))
        || case
            when p_mode = 'dry_run' then interlock.undecided('account', 'NOT_APPLICABLE')
            else interlock.verdict('account',
                case
                    when p_operator_id is distinct from v_controls.operator_id
                        or p_trade_key_fingerprint is distinct from v_controls.trade_key_fingerprint
                    then 'WRONG_ACCOUNT'
                end,
                jsonb_build_object(
                    'operator_id', p_operator_id, 'registered_operator_id', v_controls.operator_id,
                    'trade_key_fingerprint', p_trade_key_fingerprint,
                    'registered_trade_key_fingerprint', v_controls.trade_key_fingerprint
                ))
        end
        || case
            when p_mode = 'dry_run' then interlock.undecided('reconciliation', 'NOT_APPLICABLE')
            else interlock.verdict('reconciliation',
                case when interlock.comparison_is_stale(v_controls.reconciled_at, p_now) then 'RECONCILIATION_STALE' end,
                jsonb_build_object('reconciled_at', v_controls.reconciled_at, 'now', p_now, 'limit_minutes', 15))
        end;
    return v_checks;
end
$$;
comment on function interlock.decide_checks(
    public.trade_proposals, text, bigint, text, text, boolean, boolean, numeric, timestamptz
) is
    'Every check that needs no market, decided from stored rows as of p_now, in one snapshot: that of the statement which calls it, after the locks in a claim. The value of a sell comes from the caller; without it, its checks are not evaluated.';

create function interlock.merge_market_checks(
    p_given jsonb, p_mode text, p_order_type text, p_now timestamptz, p_access_timestamp bigint, p_access_window_ms integer
) returns jsonb
language plpgsql immutable set search_path = ''
as $$
declare
    v_now_ms numeric := floor(extract(epoch from p_now) * 1000);
    v_facts jsonb := jsonb_build_object(
        'access_timestamp', p_access_timestamp, 'database_ms', v_now_ms, 'access_window_ms', p_access_window_ms);
    v_checks jsonb := '[]';
    v_name text;
    v_found jsonb;
begin
    foreach v_name in array array[
        'price_moved', 'spread', 'limit_collar', 'market_trading', 'market_minimum', 'order_exists', 'clock', 'window'
    ] loop
        select jsonb_agg(item.value) into v_found
        from jsonb_array_elements(p_given) as item
        where item.value ->> 'check' = v_name;
        v_checks := v_checks || case
            when v_found is null or jsonb_array_length(v_found) <> 1
                then interlock.undecided(v_name, 'NOT_EVALUATED', '{"handed_in": false}')
            when v_found #>> '{0,verdict}' in ('PASSED', 'NOT_APPLICABLE')
                and v_name = 'clock' and p_access_timestamp > v_now_ms + 2000
                then interlock.verdict('clock', 'CLOCK_SKEW', v_facts)
            when v_found #>> '{0,verdict}' in ('PASSED', 'NOT_APPLICABLE')
                and v_name = 'window' and p_access_timestamp < v_now_ms - p_access_window_ms / 2.0
                then interlock.verdict('window', 'TOO_LATE', v_facts)
            when v_found #>> '{0,verdict}' = 'PASSED' then v_found -> 0
            when v_found #>> '{0,verdict}' = 'NOT_APPLICABLE' and (
                (v_name = 'order_exists' and p_mode = 'dry_run') or (v_name = 'limit_collar' and p_order_type = 'market')
            ) then v_found -> 0
            when v_found #>> '{0,verdict}' = 'FAILED' and v_found #>> '{0,code}' is not null then v_found -> 0
            else interlock.undecided(
                v_name, 'NOT_EVALUATED',
                case jsonb_typeof(v_found #> '{0,facts}') when 'object' then v_found #> '{0,facts}' else '{}' end
            )
        end;
    end loop;
    return v_checks;
end
$$;
comment on function interlock.merge_market_checks(jsonb, text, text, timestamptz, bigint, integer) is
    'The market verdicts that the function hands in: all of them, each once, none waved through. The database decides clock and window again on its own clock.';

create function interlock.request_misfit(
    p_body text, p_proposal public.trade_proposals, p_policy jsonb, p_mode text, p_operator_id bigint, p_order_value numeric
) returns text
language plpgsql immutable set search_path = ''
as $$
declare
    v_body jsonb;
    v_amount numeric;
    v_price numeric;
    v_collar numeric := (p_policy ->> 'max_price_move_percent')::numeric / 100;
    v_number constant text := '^(0|[1-9][0-9]{0,17})(\.[0-9]{1,18})?$';
begin
    if p_body is null or length(p_body) > 2000 or p_body !~ '^[\x20-\x7e]+$' then
        return 'the body must be short ASCII text';
    end if;
    begin
        v_body := p_body::jsonb;
    exception
        when others then
            return 'the body must be JSON';
    end;
    if jsonb_typeof(v_body) <> 'object' then
        return 'the body must be a JSON object';
    end if;
    -- Of a field that is there twice jsonb keeps the last one; the exchange may read the first.
    if (select count(*) from json_object_keys(p_body::json)) <> (select count(*) from jsonb_object_keys(v_body)) then
        return 'the body names a field twice';
    end if;
    if v_body - '{market,side,orderType,amount,price,timeInForce,clientOrderId,operatorId}'::text[] <> '{}' then
        return 'the body has a field that an order of ours never has';
    end if;
    if v_body ->> 'market' is distinct from p_proposal.market or v_body ->> 'side' is distinct from p_proposal.side then
        return 'market and side must be the proposal''s';
    end if;
    if v_body ->> 'orderType' is distinct from 'limit' or v_body ->> 'timeInForce' is distinct from 'IOC' then
        return 'every order is sent as limit IOC: nothing rests';
    end if;
    if v_body ->> 'clientOrderId' is distinct from interlock.execution_id(p_proposal.id)::text then
        return 'clientOrderId must be the execution''s id';
    end if;
    if p_operator_id is not null and v_body -> 'operatorId' is distinct from to_jsonb(p_operator_id) then
        return 'operatorId must be the registered one, as a number';
    end if;
    if jsonb_typeof(v_body -> 'amount') is distinct from 'string' or v_body ->> 'amount' !~ v_number
        or jsonb_typeof(v_body -> 'price') is distinct from 'string' or v_body ->> 'price' !~ v_number then
        return 'amount and price must be plain decimals in strings';
    end if;
    v_amount := (v_body ->> 'amount')::numeric;
    v_price := (v_body ->> 'price')::numeric;
    if v_amount <= 0 or v_price <= 0 then
        return 'amount and price must be above zero';
    end if;
    if p_proposal.side = 'buy' then
        if v_price > p_proposal.reference_price * (1 + v_collar) then
            return 'the price is above the collar''s edge';
        end if;
        if p_proposal.order_type = 'limit' and v_price > p_proposal.limit_price then
            return 'the price is above the proposal''s limit';
        end if;
        if v_amount * v_price * (1 + interlock.taker_fee()) + interlock.rounding_room(p_proposal.amount_quote)
            > p_proposal.amount_quote then
            return 'the order could spend more than the proposal allows, fee and rounding included';
        end if;
    else
        if v_price < p_proposal.reference_price * (1 - v_collar) then
            return 'the price is below the collar''s edge';
        end if;
        if p_proposal.order_type = 'limit' and v_price < p_proposal.limit_price then
            return 'the price is below the proposal''s limit';
        end if;
        if v_amount > p_proposal.amount then
            return 'the amount is above the proposal''s';
        end if;
        if p_order_value is null or p_order_value < v_amount * v_price then
            return 'the order value is below amount times price';
        end if;
    end if;
    return null;
end
$$;
comment on function interlock.request_misfit(text, public.trade_proposals, jsonb, text, bigint, numeric) is
    'Why the bytes to be sent are not an order of this proposal within its policy, or null when they are.';
