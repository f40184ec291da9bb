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
    'Claims the one execution of a proposal, or says why not: claimed, exists, refused (kept in the '
    'audit) or busy. Everything that needs no market is decided again here, after the locks, from stored '
    'rows.';
