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
    'Every check that needs no market, decided from stored rows as of p_now, in one snapshot: that of the '
    'statement which calls it, after the locks in a claim. The value of a sell comes from the caller; '
    'without it, its checks are not evaluated.';
