-- Purpose: what owners do with their own token, and the operator with the secret key; the status an owner reads.
-- Objects: interlock.policy_warnings, at_worst, scan_json; public.set_trading_policy, set_trading_state, schedule_scan, decline_proposal (owners);
--          halt_trading, set_trading_controls, get_execution_status (service_role).

set local lock_timeout = '5s';
set local statement_timeout = '60s';

create function interlock.signed_in_owner() returns uuid
language plpgsql volatile set search_path = ''
as $$
declare
    v_user_id uuid := auth.uid();
begin
    perform interlock.require_owner(v_user_id);
    perform interlock.act_as('owner');
    return v_user_id;
end
$$;
comment on function interlock.signed_in_owner() is 'The owner whose token signed this request, or PT403.';

create function interlock.own_policy_json(p_policy public.trading_policies) returns jsonb
language sql stable set search_path = ''
as $$ select interlock.row_json(to_jsonb(p_policy)) $$;
comment on function interlock.own_policy_json(public.trading_policies) is 'A policy row as RPCs answer it.';

create function interlock.policy_warnings(p_policy jsonb) returns jsonb
language sql stable set search_path = ''
as $$
    with named as (
        select
            item.value as market,
            case
                when item.value not like '%-EUR' then 'QUOTE_NOT_EUR'
                when mark.unread = 'REFUSED' then 'MARKET_REFUSED'
                when mark.traded or mark.first_read_at is not null or controls.mode <> 'live' then null
                else 'MARKET_NEVER_SEEN'
            end as code
        from jsonb_array_elements_text(p_policy -> 'allowlist') as item
        cross join public.trading_controls as controls
        left join interlock.market_marks as mark on mark.market = item.value
    ),
    warned as (
        select named.code, array_agg(named.market order by named.market) as markets
        from named
        where named.code is not null
        group by named.code
        union all
        select 'ALLOWLIST_EMPTY', '{}'
        where p_policy -> 'allowlist' = '[]'
    )
    select coalesce(
        jsonb_agg(
            jsonb_build_object(
                'code', warned.code,
                'markets', warned.markets,
                'sentence', case warned.code
                    when 'ALLOWLIST_EMPTY' then 'No market is allowed: nothing may trade.'
                    else array_to_string(warned.markets, ', ') || case warned.code
                        when 'QUOTE_NOT_EUR' then ': only markets in EUR are traded.'
                        when 'MARKET_REFUSED' then ': the exchange refuses it. Is the name right?'
                        else ': not seen at the exchange so far. Is the name right?'
                    end
                end
            )
            order by warned.code
        ),
        '[]'
    )
    from warned
$$;
comment on function interlock.policy_warnings(jsonb) is
    'What an owner should look at in a policy that is valid: each with a code, the markets it is about, and a sentence. What was never seen is known in live mode alone: only there orders are compared.';

create function public.set_trading_policy(p_policy jsonb) returns jsonb
language plpgsql volatile security definer set search_path = '' set timezone = 'UTC'
as $$
declare
    v_user_id uuid := interlock.signed_in_owner();
    v_policy jsonb := interlock.complete_policy(p_policy);
    v_error text := interlock.policy_error(v_policy);
    v_row public.trading_policies;
begin
    if v_error is not null then
        raise sqlstate 'PT400' using message = 'POLICY_INVALID', detail = v_error;
    end if;
    perform pg_advisory_xact_lock(interlock.lock_class('user gate'), hashtext(v_user_id::text));
    insert into public.trading_policies as policy (user_id, policy)
    values (v_user_id, v_policy)
    on conflict (user_id) do update set policy = excluded.policy
    where policy.policy is distinct from excluded.policy;
    select * into v_row from public.trading_policies as policy where policy.user_id = v_user_id;
    return interlock.own_policy_json(v_row) || jsonb_build_object('warnings', interlock.policy_warnings(v_row.policy));
end
$$;
comment on function public.set_trading_policy(jsonb) is
    'An owner sets their own policy; missing fields take their defaults, a wrong one is named, and warnings tell of markets that may be misspelled. Definer: owners write no table themselves. A claim never straddles the change.';

create function public.set_trading_state(
    p_state text, p_version bigint default null, p_reason text default null
) returns jsonb
language plpgsql volatile security definer set search_path = '' set timezone = 'UTC'
as $$
declare
    v_user_id uuid := interlock.signed_in_owner();
    -- Reasons stand side by side, parted by semicolons: one is not to look like two.
    v_words text := trim(left(replace(p_reason, ';', ','), 400));
    v_row public.trading_policies;
begin
    if p_state is null or p_state not in ('ACTIVE', 'REDUCE_ONLY', 'HALTED') then
        raise sqlstate 'PT400' using message = 'INVALID_STATE', detail = 'A trading state is ACTIVE, REDUCE_ONLY or HALTED.';
    end if;
    perform pg_advisory_xact_lock(interlock.lock_class('user gate'), hashtext(v_user_id::text));
    select * into v_row from public.trading_policies as policy where policy.user_id = v_user_id for update;
    if not found then
        raise sqlstate 'PT404' using message = 'NO_POLICY', detail = 'Set a trading policy first.';
    end if;
    if interlock.strictness(p_state) < interlock.strictness(v_row.trading_state) and p_version is distinct from v_row.version then
        raise sqlstate 'PT409' using
            message = 'STALE_VERSION',
            detail = format('Loosening needs the current version, %s: look at what changed first.', v_row.version);
    end if;
    update public.trading_policies
    set trading_state = p_state, state_reason = 'set by the owner' || coalesce(': ' || nullif(v_words, ''), '')
    where user_id = v_user_id and (trading_state <> p_state or p_state <> 'ACTIVE')
    returning * into v_row;
    if not found then
        select * into v_row from public.trading_policies as policy where policy.user_id = v_user_id;
    end if;
    return interlock.own_policy_json(v_row);
end
$$;
comment on function public.set_trading_state(text, bigint, text) is
    'An owner tightens or loosens their own trading, and may say why. Tightening ignores the version; loosening needs the current one. Definer: owners write no table themselves.';

create function public.schedule_scan(p_enabled boolean default true) returns jsonb
language plpgsql volatile security definer set search_path = '' set timezone = 'UTC'
as $$
declare
    v_user_id uuid := interlock.signed_in_owner();
    v_now timestamptz;
    v_job public.scan_jobs;
begin
    if p_enabled is null then
        raise sqlstate 'PT400' using message = 'INVALID_SCHEDULE', detail = 'A scan is switched on (true) or off (false).';
    end if;
    if not exists (select from public.trading_policies as policy where policy.user_id = v_user_id) then
        raise sqlstate 'PT404' using message = 'NO_POLICY', detail = 'Set a trading policy first.';
    end if;
    perform pg_advisory_xact_lock(interlock.lock_class('user budget'), hashtext(v_user_id::text));
    v_now := interlock.clock();
    select * into v_job
    from public.scan_jobs as job
    where job.user_id = v_user_id
    order by job.enabled desc, job.legacy is not null, job.created_at
    limit 1
    for update;
    if not found then
        insert into public.scan_jobs (user_id, enabled, next_run_at)
        values (v_user_id, p_enabled, v_now)
        returning * into v_job;
    else
        update public.scan_jobs
        set
            enabled = p_enabled,
            next_run_at = case when p_enabled then v_now else next_run_at end,
            consecutive_failures = case when p_enabled then 0 else consecutive_failures end,
            last_error = case when p_enabled then null else 'switched off by the owner' end
        where id = v_job.id
        returning * into v_job;
    end if;
    return interlock.row_json(to_jsonb(v_job)) - '{lock_token,finished_token,legacy,policy,status}'::text[];
end
$$;
comment on function public.schedule_scan(boolean) is
    'An owner''s scan is made or switched on, due at once, or switched off. Definer: owners write no table themselves.';

create function public.decline_proposal(p_proposal_id uuid) returns jsonb
language plpgsql volatile security definer set search_path = '' set timezone = 'UTC'
as $$
declare
    v_user_id uuid := interlock.signed_in_owner();
    v_proposal public.trade_proposals;
begin
    select * into v_proposal
    from public.trade_proposals as proposal
    where proposal.id = p_proposal_id and proposal.user_id = v_user_id
    for update;
    if not found then
        raise sqlstate 'PT404' using message = 'PROPOSAL_NOT_FOUND', detail = 'There is no such proposal.';
    end if;
    -- GUARD: only what is still open can be declined; a repeat answers with what is.
    if v_proposal.status = 'PENDING' then
        update public.trade_proposals set status = 'DECLINED' where id = p_proposal_id returning * into v_proposal;
    end if;
    return jsonb_build_object(
        'outcome', case v_proposal.status when 'DECLINED' then 'declined' else 'unchanged' end,
        'proposal', interlock.proposal_json(v_proposal)
    );
end
$$;
comment on function public.decline_proposal(uuid) is
    'An owner declines their own pending proposal. Definer: owners write no table themselves.';

-- Operator

create function interlock.controls_json() returns jsonb
language sql stable set search_path = ''
as $$
    select interlock.row_json(to_jsonb(controls)) - 'singleton' from public.trading_controls as controls where controls.singleton
$$;
comment on function interlock.controls_json() is 'The controls as RPCs answer them.';

create function public.halt_trading(p_reason text) returns jsonb
language plpgsql volatile security definer set search_path = '' set timezone = 'UTC'
as $$
begin
    perform interlock.act_as('operator');
    perform pg_advisory_xact_lock(interlock.lock_class('global gate'), 0);
    -- No halt is refused for its words.
    update public.trading_controls
    set
        trading_state = 'HALTED',
        reason = coalesce(nullif(trim(left(p_reason, 500)), ''), 'no reason was given'),
        version = version + 1
    where singleton;
    return interlock.controls_json();
end
$$;
comment on function public.halt_trading(text) is
    'Halts all trading. Once it has answered, no claim is granted, and the exchange accepts nothing later than one access window after.';

create function public.set_trading_controls(p_changes jsonb, p_version bigint default null) returns jsonb
language plpgsql volatile security definer set search_path = '' set timezone = 'UTC'
as $$
declare
    c_fields constant text[] := '{trading_state,reason,mode,operator_id,trade_key_fingerprint,account_is_dedicated,max_order_eur,max_daily_value_eur,max_daily_gpt_calls,max_daily_gpt_tokens}';
    v_old public.trading_controls;
    v_new public.trading_controls;
    v_unknown text;
    v_tightens boolean;
    v_rule text;
    v_column text;
begin
    if jsonb_typeof(p_changes) is distinct from 'object' or p_changes = '{}' then
        raise sqlstate 'PT400' using message = 'INVALID_CONTROLS', detail = 'Name the controls to change, as an object.';
    end if;
    select min(field) into v_unknown from jsonb_object_keys(p_changes) as field where field <> all (c_fields);
    if v_unknown is not null then
        raise sqlstate 'PT400' using
            message = 'INVALID_CONTROLS', detail = format('%s is not a control that can be set.', left(v_unknown, 60));
    end if;
    select min(field.key) into v_unknown
    from jsonb_each(p_changes) as field
    where jsonb_typeof(field.value) not in (
        'string', 'number', 'null', case field.key when 'account_is_dedicated' then 'boolean' else 'string' end
    );
    if v_unknown is not null then
        raise sqlstate 'PT400' using message = 'INVALID_CONTROLS', detail = format('%s is a text or a number.', v_unknown);
    end if;
    perform interlock.act_as('operator');
    perform pg_advisory_xact_lock(interlock.lock_class('global gate'), 0);
    select * into strict v_old from public.trading_controls where singleton for update;
    begin
        v_new := jsonb_populate_record(v_old, p_changes);
        v_tightens := interlock.strictness(v_new.trading_state) >= interlock.strictness(v_old.trading_state)
            and p_changes - '{trading_state,reason}'::text[] = '{}';
        if not v_tightens and p_version is distinct from v_old.version then
            raise sqlstate 'PT409' using
                message = 'STALE_VERSION',
                detail = format('This change needs the current version, %s: look at what changed first.', v_old.version);
        end if;
        update public.trading_controls
        set
            trading_state = v_new.trading_state,
            reason = v_new.reason,
            mode = v_new.mode,
            operator_id = v_new.operator_id,
            trade_key_fingerprint = v_new.trade_key_fingerprint,
            account_is_dedicated = v_new.account_is_dedicated,
            max_order_eur = v_new.max_order_eur,
            max_daily_value_eur = v_new.max_daily_value_eur,
            max_daily_gpt_calls = v_new.max_daily_gpt_calls,
            max_daily_gpt_tokens = v_new.max_daily_gpt_tokens,
            version = v_old.version + 1
        where singleton;
    exception
        when data_exception or integrity_constraint_violation then
            get stacked diagnostics v_rule = constraint_name, v_column = column_name;
            raise sqlstate 'PT400' using
                message = 'INVALID_CONTROLS', detail = interlock.broken_rule(v_rule, v_column, sqlerrm);
    end;
    return interlock.controls_json();
end
$$;
comment on function public.set_trading_controls(jsonb, bigint) is
    'The operator changes the controls. Tightening the state ignores the version; every other change needs the current one.';

create function interlock.at_worst(p_proposal public.trade_proposals, p_policy jsonb) returns jsonb
language sql stable set search_path = ''
as $$
    select jsonb_build_object(
        'worst_price', trim_scale(coalesce(
            p_proposal.limit_price,
            p_proposal.reference_price
            * (1 + case p_proposal.side when 'buy' then 1 else -1 end * (p_policy ->> 'max_price_move_percent')::numeric / 100)
        ))::text,
        'fee_percent', trim_scale(interlock.taker_fee() * 100)::text
    )
$$;
comment on function interlock.at_worst(public.trade_proposals, jsonb) is
    'What an approval could come to: the edge of the collar around the reference price, or the limit, and the highest fee. The market of the moment can only narrow it.';

create function interlock.scan_json(p_user_id uuid, p_now timestamptz) returns jsonb
language sql stable set search_path = ''
as $$
    select jsonb_build_object(
        'enabled', job.enabled,
        'running', coalesce(job.lock_expires_at > p_now, false),
        'next_run_at', job.next_run_at,
        'last_run_at', job.last_run_at,
        'last_outcome', job.last_outcome,
        'last_error', job.last_error,
        'consecutive_failures', job.consecutive_failures::text
    )
    from public.scan_jobs as job
    where job.user_id = p_user_id
    order by job.enabled desc, job.legacy is not null, job.created_at
    limit 1
$$;
comment on function interlock.scan_json(uuid, timestamptz) is
    'How an owner''s scan stands: the job that schedule_scan switches. Null: there is none yet.';

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
    'What an owner wants to know, in one call: states, last and unsettled executions, pending proposals, running windows, today''s use of limits and ceilings, the model budget, the scan, and the age of the last comparison.';
