-- Purpose: what the function scan_tick calls: leases of due jobs, the model budget, one fenced finish.
-- Objects: public.claim_due_scan_jobs, check_gpt_budget, reserve_gpt_call, log_gpt_usage, finish_scan, release_job_lock.
-- All are definer: the secret key may call them and writes no table by itself.

set local lock_timeout = '5s';
set local statement_timeout = '60s';

create function interlock.effective_state(p_owner_state text) returns text
language sql stable set search_path = ''
as $$
    select case
        when interlock.strictness(p_owner_state) > interlock.strictness(controls.trading_state) then p_owner_state
        else controls.trading_state
    end
    from public.trading_controls as controls
    where controls.singleton
$$;
comment on function interlock.effective_state(text) is 'The stricter of an owner''s state and the global one.';

create function interlock.blocked_markets(
    p_user_id uuid, p_controls public.trading_controls, p_policy jsonb, p_now timestamptz
) returns jsonb
language plpgsql stable set search_path = ''
as $$
declare
    v_least numeric := (p_policy #>> '{limits,order,min_eur}')::numeric;
    v_cooldown interval := make_interval(mins => (p_policy ->> 'cooldown_minutes')::integer);
    v_today record;
    v_everywhere text;
begin
    -- GUARD: an owner who may trade nothing costs nothing.
    if p_policy -> 'allowlist' = '[]' then
        return '{}';
    end if;
    select * into v_today
    from interlock.counted_today(
        p_user_id, p_controls.mode, date_trunc('day', p_now, 'UTC'), (p_policy #>> '{limits,order,max_eur}')::numeric
    );
    v_everywhere := case
        when v_today.trades >= (p_policy #>> '{limits,daily,trades}')::integer then 'DAILY_TRADES_EXHAUSTED'
        when v_today.value + v_least > (p_policy #>> '{limits,daily,value_eur}')::numeric then 'DAILY_VALUE_EXHAUSTED'
        when v_least > p_controls.max_order_eur or v_today.all_value + v_least > p_controls.max_daily_value_eur
            then 'ACCOUNT_LIMIT_EXHAUSTED'
    end;
    return coalesce(
        (
            select jsonb_object_agg(market.name, jsonb_build_object('code', found.code, 'until', found.until))
            from jsonb_array_elements_text(p_policy -> 'allowlist') as market (name)
            cross join lateral (
                select
                    case
                        when v_everywhere is not null then v_everywhere
                        when exists (
                            select
                            from public.trade_executions as execution
                            where execution.user_id = p_user_id
                                and execution.market = market.name
                                and execution.status in ('CLAIMED', 'UNKNOWN', 'OPEN', 'PARTIALLY_FILLED')
                        ) then 'UNSETTLED_EXECUTION'
                        when last.traded_at is not null then 'COOLDOWN_ACTIVE'
                    end as code,
                    last.traded_at + v_cooldown as until
                from interlock.last_trades(
                    p_user_id, split_part(market.name, '-', 1), p_controls.mode, p_now - v_cooldown
                ) as last (traded_at)
            ) as found
            where found.code is not null
        ),
        '{}'
    );
end
$$;
comment on function interlock.blocked_markets(uuid, public.trading_controls, jsonb, timestamptz) is
    'The allowlisted markets in which no order of an owner, however small, would pass the checks of an approval now: why, and until when a cooldown runs. Anti-flip and REDUCE_ONLY leave one side open and block no market.';

create function public.claim_due_scan_jobs(p_instance_id text, p_limit integer default 5) returns jsonb
language plpgsql volatile security definer set search_path = '' set timezone = 'UTC'
-- The limit is a parameter, and a plan for each limit costs more than the claim.
set plan_cache_mode = 'force_generic_plan'
as $$
declare
    c_lease constant interval := '2 minutes';
    c_most_failures constant integer := 10;
    c_most_round constant integer := 1000;
    v_now timestamptz := interlock.clock();
    v_controls public.trading_controls;
    v_wanted integer := p_limit;
    v_round integer := 0;
    v_due uuid[];
    v_lost jsonb;
    v_taken uuid[];
    v_disabled uuid[];
    v_leased jsonb;
    v_jobs jsonb;
begin
    if coalesce(length(p_instance_id), 0) not between 1 and 200 then
        raise sqlstate 'PT400' using message = 'INVALID_CLAIM', detail = 'A worker has a name of 1 to 200 characters.';
    end if;
    if p_limit is null or p_limit not between 1 and 100 then
        raise sqlstate 'PT400' using message = 'INVALID_CLAIM', detail = 'A worker claims 1 to 100 jobs.';
    end if;
    perform interlock.act_as('scan_tick');
    -- Read once: a function of each due job would make a claim as slow as its queue is long.
    select * into strict v_controls from public.trading_controls as controls where controls.singleton;

    loop
        -- No more than it takes: what another worker took meanwhile is looked at again, with all that this reads.
        select array_agg(due.id), jsonb_object_agg(due.id, due.locked_by) filter (where due.locked_by is not null)
        into v_due, v_lost
        from (
            select job.id, job.locked_by
            from public.scan_jobs as job
            where job.enabled
                and job.next_run_at <= v_now
                and (job.lock_expires_at is null or job.lock_expires_at <= v_now)
                and exists (select from public.trading_owners as owner where owner.user_id = job.user_id)
            order by job.next_run_at, job.id
            limit v_wanted
            for update of job skip locked
        ) as due;
        exit when v_due is null;

        with taken as (
            update public.scan_jobs as job
            set
                locked_at = v_now,
                locked_by = p_instance_id,
                lock_expires_at = v_now + c_lease,
                lock_token = gen_random_uuid(),
                -- A lease that expired is a worker that crashed: it counts as a failure of the job.
                consecutive_failures = job.consecutive_failures + (job.lock_expires_at is not null)::integer,
                last_error = case
                    when job.lock_expires_at is not null then format(
                        '%sworker %s did not finish',
                        case
                            when job.consecutive_failures + 1 >= c_most_failures then 'disabled after ten failures in a row; the last: '
                            else ''
                        end,
                        job.locked_by
                    )
                    else job.last_error
                end
            from public.trading_policies as policy
            where job.id = any (v_due)
                and policy.user_id = job.user_id
                and 'HALTED' not in (v_controls.trading_state, policy.trading_state)
            returning
                job.id, job.user_id, job.lock_token, job.lock_expires_at, job.next_run_at, policy.policy, policy.policy_hash,
                -- Only a crash that this claim has counted switches a job off here.
                coalesce(v_lost ? job.id::text, false) and job.consecutive_failures >= c_most_failures as crashed_too_often
        ),
        leased as (
            select
                taken.id, taken.user_id, taken.lock_token, taken.lock_expires_at, taken.next_run_at as due_at,
                taken.policy, taken.policy_hash, v_lost ->> taken.id::text as lost_worker,
                interlock.blocked_markets(taken.user_id, v_controls, taken.policy, v_now) as blocked
            from taken
            where not taken.crashed_too_often
        )
        select
            array(select taken.id from taken),
            array(select taken.id from taken where taken.crashed_too_often),
            (select to_jsonb(array_agg(leased order by leased.due_at, leased.id)) from leased)
        into v_taken, v_disabled, v_leased;
        v_jobs := coalesce(v_jobs || v_leased, v_leased, v_jobs);

        if v_lost is not null then
            perform interlock.write_audit('LOCK_EXPIRED', job.user_id, null, null,
                jsonb_build_object('scan_job_id', job.id, 'worker', v_lost ->> job.id::text))
            from public.scan_jobs as job
            where job.id = any (v_taken) and v_lost ? job.id::text;
            update public.scan_jobs
            set enabled = false, locked_at = null, locked_by = null, lock_expires_at = null, lock_token = null
            where id = any (v_disabled);
        end if;

        -- Jobs of halted owners go round without a model call where a claim meets them, and others are claimed in their
        -- place: a search for them among all that is due would make a claim as slow as its queue is long.
        exit when cardinality(v_taken) = cardinality(v_due);
        update public.scan_jobs as job
        set next_run_at = v_now + make_interval(mins => coalesce((policy.policy ->> 'scan_interval_minutes')::integer, 60))
        from public.scan_jobs as met
        left join public.trading_policies as policy on policy.user_id = met.user_id
        where met.id = any (v_due) and met.id <> all (v_taken) and job.id = met.id;
        v_wanted := v_wanted - cardinality(v_taken);
        v_round := v_round + cardinality(v_due) - cardinality(v_taken);
        exit when v_round >= c_most_round;
    end loop;
    return coalesce(v_jobs, '[]');
end
$$;
comment on function public.claim_due_scan_jobs(text, integer) is
    'Leases up to p_limit due jobs of owners for 2 minutes, each under a fresh token: a list of jobs with their policy, the markets in which nothing of the owner would pass now and, when its lock had expired, the worker that lost it. A job that another worker holds is passed over; an expired lease is taken at once and counts as a failure.';

-- Budget

create function interlock.calls_used(
    p_user_id uuid, p_now timestamptz, out daily bigint, out hourly bigint, out all_daily bigint, out all_tokens bigint
)
language sql stable set search_path = ''
as $$
    select own.daily, own.hourly, everybody.daily, everybody.tokens
    from (
        select
            count(*) filter (where call.created_at >= date_trunc('day', p_now, 'UTC')) as daily,
            count(*) filter (where call.created_at > p_now - interval '60 minutes') as hourly
        from public.gpt_usage_log as call
        where call.user_id = p_user_id
            and call.created_at >= least(date_trunc('day', p_now, 'UTC'), p_now - interval '60 minutes')
            and call.status in ('RESERVED', 'SUCCEEDED', 'FAILED', 'ABANDONED')
    ) as own
    cross join (
        -- GUARD: a call without a report counts what it may have used, or the ceiling would bound nothing.
        select
            count(*) as daily,
            coalesce(sum(case when call.status in ('RESERVED', 'ABANDONED') then call.most_tokens else call.tokens_used end), 0)::bigint as tokens
        from public.gpt_usage_log as call
        where call.created_at >= date_trunc('day', p_now, 'UTC')
            and call.status in ('RESERVED', 'SUCCEEDED', 'FAILED', 'ABANDONED')
    ) as everybody
$$;
comment on function interlock.calls_used(uuid, timestamptz) is
    'Model calls that count: an owner''s in this UTC day and in the last 60 minutes, everybody''s in this UTC day, and everybody''s tokens: what is settled as it was settled, what is not as the most it may use.';

create function public.check_gpt_budget(p_user_id uuid, p_daily integer, p_hourly integer) returns jsonb
language plpgsql volatile security definer set search_path = '' set timezone = 'UTC'
as $$
declare
    v_used record;
begin
    if p_user_id is null or p_daily is null or p_hourly is null or p_daily < 0 or p_hourly < 0 then
        raise sqlstate 'PT400' using
            message = 'INVALID_BUDGET', detail = 'A budget names a user, calls a day and calls an hour, each 0 or more.';
    end if;
    select * into v_used from interlock.calls_used(p_user_id, interlock.clock());
    return jsonb_build_object(
        'can_call', v_used.daily < p_daily and v_used.hourly < p_hourly,
        'reason', case
            when v_used.daily >= p_daily then 'DAILY_BUDGET_EXHAUSTED'
            when v_used.hourly >= p_hourly then 'HOURLY_BUDGET_EXHAUSTED'
        end,
        'daily_used', v_used.daily::text,
        'hourly_used', v_used.hourly::text
    );
end
$$;
comment on function public.check_gpt_budget(uuid, integer, integer) is
    'Would a model call fit into these limits now? An answer to look at; reserve_gpt_call decides.';

create function public.reserve_gpt_call(
    p_reservation_id uuid, p_scan_job_id uuid, p_lock_token uuid, p_purpose text, p_model text, p_most_tokens bigint
) returns jsonb
language plpgsql volatile security definer set search_path = '' set timezone = 'UTC' set lock_timeout = '4s'
as $$
declare
    v_now timestamptz;
    v_job public.scan_jobs;
    v_controls public.trading_controls;
    v_policy jsonb;
    v_call public.gpt_usage_log;
    v_is_new boolean;
    v_used record;
    v_reason text;
begin
    if p_reservation_id is null or p_scan_job_id is null or p_lock_token is null
        or coalesce(length(p_purpose), 0) not between 1 and 100 or length(p_model) > 200
        or p_most_tokens is null or p_most_tokens not between 1 and 999999999999 then
        raise sqlstate 'PT400' using
            message = 'INVALID_RESERVATION',
            detail = 'A reservation has an id, a job, its lock token, a purpose of 1 to 100 characters, and the tokens that it may use at most.';
    end if;
    perform interlock.act_as('scan_tick');
    select * into v_job from public.scan_jobs as job where job.id = p_scan_job_id;
    if not found then
        raise sqlstate 'PT404' using message = 'SCAN_JOB_NOT_FOUND', detail = 'There is no such job.';
    end if;

    perform pg_advisory_xact_lock(interlock.lock_class('user budget'), hashtext(v_job.user_id::text));
    perform pg_advisory_xact_lock(interlock.lock_class('account budget'), 0);
    select * into v_job from public.scan_jobs as job where job.id = p_scan_job_id for share;
    v_now := interlock.clock();

    select * into v_call from public.gpt_usage_log as call where call.id = p_reservation_id;
    v_is_new := not found;
    if v_is_new and (v_job.lock_token is distinct from p_lock_token or v_job.lock_expires_at <= v_now) then
        return jsonb_build_object('outcome', 'lease_lost', 'reason', null, 'daily_used', null, 'hourly_used', null);
    end if;
    if not v_is_new and v_call.scan_job_id is distinct from p_scan_job_id then
        raise sqlstate 'PT400' using
            message = 'INVALID_RESERVATION', detail = 'This reservation belongs to another job.';
    end if;

    -- Once a call: it reads the day's calls, and everybody else waits for the lock meanwhile.
    select * into v_used from interlock.calls_used(v_job.user_id, v_now);
    if v_is_new then
        select * into strict v_controls from public.trading_controls where singleton;
        select policy.policy into v_policy
        from public.trading_policies as policy
        join public.trading_owners as owner on owner.user_id = policy.user_id
        where policy.user_id = v_job.user_id;
        v_reason := case
            when v_policy is null then 'NOT_AN_OWNER'
            when v_used.daily < (v_policy #>> '{limits,gpt,daily}')::integer then null
            else 'DAILY_BUDGET_EXHAUSTED'
        end;
        v_reason := coalesce(v_reason, case
            when v_used.hourly >= (v_policy #>> '{limits,gpt,hourly}')::integer then 'HOURLY_BUDGET_EXHAUSTED'
            when v_used.all_daily >= v_controls.max_daily_gpt_calls then 'ACCOUNT_DAILY_CALLS_EXHAUSTED'
            when v_used.all_tokens >= v_controls.max_daily_gpt_tokens then 'ACCOUNT_DAILY_TOKENS_EXHAUSTED'
        end);
        insert into public.gpt_usage_log (id, user_id, scan_job_id, purpose, status, success, reason, model, most_tokens, created_at, settled_at)
        values (
            p_reservation_id, v_job.user_id, v_job.id, p_purpose,
            case when v_reason is null then 'RESERVED' else 'SKIPPED' end,
            case when v_reason is not null then false end,
            v_reason, p_model, p_most_tokens, v_now, case when v_reason is not null then v_now end
        )
        returning * into v_call;
        v_used.daily := v_used.daily + (v_reason is null)::integer;
        v_used.hourly := v_used.hourly + (v_reason is null)::integer;
    end if;
    return jsonb_build_object(
        -- GUARD: one reservation is one call; what is settled is never handed out again.
        'outcome', case v_call.status when 'RESERVED' then 'reserved' else 'refused' end,
        'reason', case when v_call.status in ('RESERVED', 'SKIPPED') then v_call.reason else 'ALREADY_SETTLED' end,
        'daily_used', v_used.daily::text,
        'hourly_used', v_used.hourly::text
    );
end
$$;
comment on function public.reserve_gpt_call(uuid, uuid, uuid, text, text, bigint) is
    'Reserves one model call of at most p_most_tokens inside the owner''s limits and the ceilings over all owners, or refuses and keeps the refusal as a SKIPPED row. The same id again reserves nothing twice.';

create function interlock.settle_call(
    p_id uuid, p_status text, p_reason text, p_model text, p_prompt_tokens bigint, p_completion_tokens bigint, p_now timestamptz
) returns public.gpt_usage_log
language plpgsql volatile set search_path = ''
as $$
declare
    v_call public.gpt_usage_log;
begin
    select * into v_call from public.gpt_usage_log as call where call.id = p_id for update;
    if not found then
        raise sqlstate 'PT404' using message = 'RESERVATION_NOT_FOUND', detail = 'There is no such reservation.';
    end if;
    -- GUARD: settled is settled; a repeat changes nothing.
    if not (v_call.status = 'RESERVED' or (v_call.status = 'ABANDONED' and p_status in ('SUCCEEDED', 'FAILED'))) then
        return v_call;
    end if;
    update public.gpt_usage_log
    set
        status = p_status,
        success = p_status = 'SUCCEEDED',
        reason = left(p_reason, 1000),
        model = coalesce(left(p_model, 200), v_call.model),
        prompt_tokens = case p_status when 'RELEASED' then 0 else coalesce(p_prompt_tokens, 0) end,
        completion_tokens = case p_status when 'RELEASED' then 0 else coalesce(p_completion_tokens, 0) end,
        tokens_used = case
            when p_status = 'RELEASED' then 0
            -- GUARD: a report of half or of nothing is no report; who was asked may have worked as much as it was let.
            when p_prompt_tokens > 0 and p_completion_tokens is not null then p_prompt_tokens + p_completion_tokens
            else greatest(v_call.most_tokens, coalesce(p_prompt_tokens, 0) + coalesce(p_completion_tokens, 0))
        end,
        settled_at = p_now
    where id = p_id
    returning * into v_call;
    return v_call;
end
$$;
comment on function interlock.settle_call(uuid, text, text, text, bigint, bigint, timestamptz) is
    'Settles a reservation, whoever holds the job now: tokens were spent all the same, the most that it may use where no report says how many.';

create function public.log_gpt_usage(
    p_id uuid,
    p_user_id uuid,
    p_scan_job_id uuid,
    p_purpose text,
    p_status text,
    p_reason text,
    p_model text,
    p_prompt_tokens bigint,
    p_completion_tokens bigint
) returns jsonb
language plpgsql volatile security definer set search_path = '' set timezone = 'UTC'
as $$
declare
    v_now timestamptz := interlock.clock();
    v_call public.gpt_usage_log;
begin
    if p_id is null or p_status is null or p_status not in ('SUCCEEDED', 'FAILED', 'RELEASED', 'SKIPPED')
        or coalesce(p_prompt_tokens, 0) not between 0 and 999999999999
        or coalesce(p_completion_tokens, 0) not between 0 and 999999999999 then
        raise sqlstate 'PT400' using
            message = 'INVALID_USAGE',
            detail = 'Usage has an id, a status of SUCCEEDED, FAILED, RELEASED or SKIPPED, and token counts of 0 or more.';
    end if;
    if p_status = 'SKIPPED' and (p_user_id is null or length(coalesce(p_purpose, 'scan_proposal')) not between 1 and 100) then
        raise sqlstate 'PT400' using
            message = 'INVALID_USAGE', detail = 'A skipped call names its user and a purpose of 1 to 100 characters.';
    end if;
    perform interlock.act_as('scan_tick');
    if p_status = 'SKIPPED' then
        perform interlock.require_owner(p_user_id);
        if p_scan_job_id is not null and not exists (
            select from public.scan_jobs as job where job.id = p_scan_job_id and job.user_id = p_user_id
        ) then
            raise sqlstate 'PT404' using message = 'SCAN_JOB_NOT_FOUND', detail = 'The user has no such job.';
        end if;
        insert into public.gpt_usage_log (id, user_id, scan_job_id, purpose, status, success, reason, model, created_at, settled_at)
        values (p_id, p_user_id, p_scan_job_id, coalesce(p_purpose, 'scan_proposal'), 'SKIPPED', false,
            left(p_reason, 1000), left(p_model, 200), v_now, v_now)
        on conflict (id) do nothing;
        select * into v_call from public.gpt_usage_log as call where call.id = p_id;
    else
        v_call := interlock.settle_call(p_id, p_status, p_reason, p_model, p_prompt_tokens, p_completion_tokens, v_now);
    end if;
    return jsonb_build_object(
        'outcome', case when v_call.status = p_status then 'logged' else 'unchanged' end,
        'usage', interlock.row_json(to_jsonb(v_call))
    );
end
$$;
comment on function public.log_gpt_usage(uuid, uuid, uuid, text, text, text, text, bigint, bigint) is
    'Settles a reserved model call with the tokens that the answer reported (without a report: the most that it may use), or records one that was SKIPPED.';

-- Finish

create function interlock.release_job(
    p_job public.scan_jobs, p_minutes numeric, p_failed boolean, p_error text, p_ran boolean, p_outcome text,
    p_now timestamptz
) returns public.scan_jobs
language plpgsql volatile set search_path = ''
as $$
declare
    c_most_failures constant integer := 10;
    -- Up to a twentieth and a minute later, so that jobs that failed or were made together do not wake together.
    v_jitter numeric := least(60, p_minutes * 60 / 20) * (abs(hashtext(p_job.lock_token::text)) % 1000) / 1000;
    v_failures integer := case when p_failed then p_job.consecutive_failures + 1 when p_ran then 0 else p_job.consecutive_failures end;
    v_job public.scan_jobs;
begin
    update public.scan_jobs
    set
        locked_at = null,
        locked_by = null,
        lock_expires_at = null,
        lock_token = null,
        finished_token = p_job.lock_token,
        last_outcome = left(p_outcome, 1000),
        next_run_at = p_now + make_interval(secs => (p_minutes * 60 + v_jitter)::double precision),
        last_run_at = case when p_ran then p_now else last_run_at end,
        consecutive_failures = v_failures,
        last_error = case
            when v_failures >= c_most_failures then left(format('disabled after %s failures in a row; the last: %s', v_failures, p_error), 1000)
            else left(p_error, 1000)
        end
    where id = p_job.id
    returning * into v_job;
    -- By itself: a change of enabled is audited, and costs more than all the rest.
    if v_failures >= c_most_failures then
        update public.scan_jobs set enabled = false where id = p_job.id returning * into v_job;
    end if;
    return v_job;
end
$$;
comment on function interlock.release_job(public.scan_jobs, numeric, boolean, text, boolean, text, timestamptz) is
    'Ends a lease and says what came of it and when the job runs next. Ten failures in a row disable it.';

create function public.finish_scan(
    p_scan_job_id uuid,
    p_lock_token uuid,
    p_outcome text,
    p_reason text,
    p_usage jsonb,
    p_proposal jsonb,
    p_policy_hash text
) returns jsonb
language plpgsql volatile security definer set search_path = '' set timezone = 'UTC'
as $$
declare
    v_now timestamptz;
    v_job public.scan_jobs;
    v_policy public.trading_policies;
    v_call jsonb;
    v_proposal public.trade_proposals;
    v_outcome text := 'finished';
    v_rule text;
    v_column text;
begin
    if p_outcome is null or p_outcome not in ('proposed', 'held', 'failed', 'budget_exhausted', 'outage')
        or p_lock_token is null or jsonb_typeof(coalesce(p_usage, '[]')) <> 'array'
        or (p_outcome = 'proposed') <> (p_proposal is not null and jsonb_typeof(p_proposal) = 'object') then
        raise sqlstate 'PT400' using
            message = 'INVALID_FINISH',
            detail = 'A scan ends proposed (with a proposal), held, failed, budget_exhausted or outage, under its lock token.';
    end if;
    perform interlock.act_as('scan_tick');
    select * into v_job from public.scan_jobs as job where job.id = p_scan_job_id for update;
    if not found then
        raise sqlstate 'PT404' using message = 'SCAN_JOB_NOT_FOUND', detail = 'There is no such job.';
    end if;
    v_now := interlock.clock();

    for v_call in select item.value from jsonb_array_elements(coalesce(p_usage, '[]')) as item loop
        if v_call ->> 'status' is null or v_call ->> 'status' not in ('SUCCEEDED', 'FAILED', 'RELEASED') then
            raise sqlstate 'PT400' using
                message = 'INVALID_FINISH', detail = 'A call is settled as SUCCEEDED, FAILED or RELEASED.';
        end if;
        if interlock.as_uuid(v_call ->> 'id') is null
            or coalesce(v_call ->> 'prompt_tokens', '0') !~ '^[0-9]{1,12}$'
            or coalesce(v_call ->> 'completion_tokens', '0') !~ '^[0-9]{1,12}$' then
            raise sqlstate 'PT400' using
                message = 'INVALID_FINISH', detail = 'A call has the id of its reservation and token counts of 0 or more.';
        end if;
        -- GUARD: where the answer to a reservation was lost, it may never have been made.
        continue when v_call ->> 'status' = 'RELEASED'
            and not exists (select from public.gpt_usage_log as call where call.id = (v_call ->> 'id')::uuid);
        perform interlock.settle_call(
            (v_call ->> 'id')::uuid, v_call ->> 'status', v_call ->> 'reason', v_call ->> 'model',
            (v_call ->> 'prompt_tokens')::bigint, (v_call ->> 'completion_tokens')::bigint, v_now
        );
    end loop;

    -- GUARD: only the lease's own token ends it, and only while it runs; the tokens that were spent are settled all the same.
    if v_job.lock_token is distinct from p_lock_token or v_job.lock_expires_at <= v_now then
        select * into v_proposal from public.trade_proposals as proposal where proposal.id = interlock.as_uuid(p_proposal ->> 'id') and proposal.scan_job_id = v_job.id;
        return jsonb_build_object(
            'outcome', case when v_job.finished_token = p_lock_token then 'already_finished' else 'lease_lost' end,
            'proposal', case when v_job.finished_token = p_lock_token and v_proposal.id is not null
                then interlock.proposal_json(v_proposal) end,
            'next_run_at', v_job.next_run_at
        );
    end if;

    select policy.* into v_policy
    from public.trading_policies as policy
    join public.trading_owners as owner on owner.user_id = policy.user_id
    where policy.user_id = v_job.user_id;
    if p_outcome = 'proposed' then
        if v_policy.policy_hash is null or v_policy.policy_hash is distinct from p_policy_hash then
            -- GUARD: a proposal made under another policy is not stored; the job is due again at once.
            v_outcome := 'policy_changed';
        else
            begin
                insert into public.trade_proposals (
                    id, user_id, scan_job_id, market, side, order_type, amount, amount_quote, limit_price, reference_price,
                    confidence, rationale, expires_at, policy_hash, policy_snapshot, model, prompt_version, input_hash,
                    market_snapshot, clamped, created_at
                ) values (
                    (p_proposal ->> 'id')::uuid, v_job.user_id, v_job.id, p_proposal ->> 'market', p_proposal ->> 'side',
                    p_proposal ->> 'order_type', (p_proposal ->> 'amount')::numeric, (p_proposal ->> 'amount_quote')::numeric,
                    (p_proposal ->> 'limit_price')::numeric, (p_proposal ->> 'reference_price')::numeric,
                    (p_proposal ->> 'confidence')::numeric, p_proposal ->> 'rationale',
                    v_now + make_interval(mins => (v_policy.policy ->> 'proposal_ttl_minutes')::integer),
                    v_policy.policy_hash, v_policy.policy, p_proposal ->> 'model', p_proposal ->> 'prompt_version',
                    p_proposal ->> 'input_hash', p_proposal -> 'market_snapshot', p_proposal -> 'clamped', v_now
                )
                returning * into v_proposal;
            exception
                when data_exception or integrity_constraint_violation then
                    get stacked diagnostics v_rule = constraint_name, v_column = column_name;
                    raise sqlstate 'PT400' using
                        message = 'INVALID_PROPOSAL', detail = interlock.broken_rule(v_rule, v_column, sqlerrm);
            end;
        end if;
    end if;

    perform interlock.write_audit('SCAN_' || upper(p_outcome), v_job.user_id, v_proposal.id, null,
        jsonb_build_object('scan_job_id', v_job.id, 'outcome', v_outcome, 'reason', left(p_reason, 1000)));
    v_job := interlock.release_job(
        v_job,
        case
            when v_outcome = 'policy_changed' then 0
            when p_outcome = 'budget_exhausted' then 30
            when p_outcome in ('failed', 'outage') or v_policy.user_id is null then 60
            else (v_policy.policy ->> 'scan_interval_minutes')::numeric
        end,
        p_outcome = 'failed',
        case when v_outcome = 'policy_changed' then 'the policy changed during the scan' when p_outcome in ('proposed', 'held') then null else p_reason end,
        p_outcome in ('proposed', 'held'),
        concat_ws(': ', case when v_outcome = 'policy_changed' then v_outcome else p_outcome end, p_reason),
        v_now
    );
    return jsonb_build_object(
        'outcome', v_outcome,
        'proposal', case when v_proposal.id is not null then interlock.proposal_json(v_proposal) end,
        'next_run_at', v_job.next_run_at
    );
end
$$;
comment on function public.finish_scan(uuid, uuid, text, text, jsonb, jsonb, text) is
    'Ends a scan in one transaction: settles its model calls, stores its proposal, releases the job and says when it runs next. Fenced by the lease''s token and its end; a repeat answers already_finished.';

create function public.release_job_lock(p_scan_job_id uuid, p_lock_token uuid, p_minutes integer, p_error text) returns jsonb
language plpgsql volatile security definer set search_path = '' set timezone = 'UTC'
as $$
declare
    v_job public.scan_jobs;
begin
    if p_lock_token is null or p_minutes is null or p_minutes not between 0 and 10080 then
        raise sqlstate 'PT400' using
            message = 'INVALID_RELEASE', detail = 'A release carries the lock token and 0 to 10080 minutes to the next run.';
    end if;
    perform interlock.act_as('scan_tick');
    select * into v_job from public.scan_jobs as job where job.id = p_scan_job_id for update;
    if not found then
        raise sqlstate 'PT404' using message = 'SCAN_JOB_NOT_FOUND', detail = 'There is no such job.';
    end if;
    if v_job.lock_token is distinct from p_lock_token then
        return jsonb_build_object(
            'outcome', case when v_job.finished_token = p_lock_token then 'already_released' else 'lease_lost' end,
            'next_run_at', v_job.next_run_at);
    end if;
    v_job := interlock.release_job(v_job, p_minutes, p_error is not null, p_error, false, concat_ws(': ', 'released', p_error), interlock.clock());
    return jsonb_build_object('outcome', 'released', 'next_run_at', v_job.next_run_at);
end
$$;
comment on function public.release_job_lock(uuid, uuid, integer, text) is
    'Ends a lease without a scan, under its token; an error counts as a failure of the job.';
