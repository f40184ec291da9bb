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
    'Leases up to p_limit due jobs of owners for 2 minutes, each under a fresh token: a list of jobs with '
    'their policy, the markets in which nothing of the owner would pass now and, when its lock had '
    'expired, the worker that lost it. A job that another worker holds is passed over; an expired lease '
    'is taken at once and counts as a failure.';
