create function public.get_execution_status(p_user_id uuid) returns jsonb
language plpgsql volatile security definer set search_path = '' set timezone = 'UTC'
as $$
declare
    v_now timestamptz := interlock.clock();
    v_day timestamptz := date_trunc('day', v_now, 'UTC');
    v_controls public.trading_controls;
    v_owner public.trading_policies;
    v_used record;
    v_today record;
begin
    perform interlock.require_owner(p_user_id);
    select * into strict v_controls from public.trading_controls where singleton;
    select * into v_owner from public.trading_policies as policy where policy.user_id = p_user_id;
    select * into v_used from interlock.calls_used(p_user_id, v_now);
    select * into v_today from interlock.counted_today(
        p_user_id, v_controls.mode, v_day,
        coalesce((v_owner.policy #>> '{limits,order,max_eur}')::numeric, v_controls.max_order_eur)
    );
    return jsonb_build_object(
        'now', v_now,
        'trading', jsonb_build_object(
            'state', interlock.effective_state(coalesce(v_owner.trading_state, 'HALTED')),
            'global_state', v_controls.trading_state,
            'global_reason', v_controls.reason,
            'owner_state', v_owner.trading_state,
            'owner_reason', v_owner.state_reason,
            'owner_version', v_owner.version::text,
            'mode', v_controls.mode
        ),
        'reconciliation', interlock.comparison_json(v_controls, v_now),
        'last_execution', (
            select interlock.execution_json(execution) - '{policy_snapshot,checks}'::text[]
            from public.trade_executions as execution
            where execution.user_id = p_user_id
            order by execution.claimed_at desc
            limit 1
        ),
        'unsettled_executions', (
            select coalesce(jsonb_agg(item.row order by item.at), '[]')
            from (
                select interlock.execution_json(execution) - '{policy_snapshot,checks}'::text[] as row, execution.claimed_at as at
                from public.trade_executions as execution
                where execution.user_id = p_user_id
                    and execution.status in ('CLAIMED', 'UNKNOWN', 'OPEN', 'PARTIALLY_FILLED')
                order by execution.claimed_at
                limit 100
            ) as item
        ),
        'pending_proposals', (
            select coalesce(jsonb_agg(item.row order by item.at), '[]')
            from (
                select
                    interlock.proposal_json(proposal) || interlock.at_worst(proposal, v_owner.policy) as row,
                    proposal.created_at as at
                from public.trade_proposals as proposal
                where proposal.user_id = p_user_id and proposal.status = 'PENDING' and proposal.expires_at > v_now
                order by proposal.created_at
                limit 100
            ) as item
        ),
        'windows', interlock.running_windows(p_user_id, v_controls.mode, v_owner.policy, v_now),
        'today', jsonb_build_object(
            'trades', v_today.trades::text,
            'trades_limit', v_owner.policy #>> '{limits,daily,trades}',
            'value_eur', v_today.value::text,
            'value_limit_eur', v_owner.policy #>> '{limits,daily,value_eur}',
            'account_value_eur', v_today.all_value::text,
            'account_value_limit_eur', v_controls.max_daily_value_eur::text,
            'account_order_limit_eur', v_controls.max_order_eur::text
        ),
        'model_budget', jsonb_build_object(
            'daily_used', v_used.daily::text,
            'daily_limit', v_owner.policy #>> '{limits,gpt,daily}',
            'hourly_used', v_used.hourly::text,
            'hourly_limit', v_owner.policy #>> '{limits,gpt,hourly}'
        ),
        'scan', interlock.scan_json(p_user_id, v_now),
        'policy', v_owner.policy,
        'policy_warnings', case when v_owner.policy is null then '[]'::jsonb else interlock.policy_warnings(v_owner.policy) end
    );
end
$$;
comment on function public.get_execution_status(uuid) is
    'What an owner wants to know, in one call: states, last and unsettled executions, pending proposals, '
    'running windows, today''s use of limits and ceilings, the model budget, the scan, and the age of the '
    'last comparison.';
