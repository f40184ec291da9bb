create function public.halt_failing_owners() returns jsonb
language plpgsql volatile security definer set search_path = '' set timezone = 'UTC' set lock_timeout = '2s'
as $$
declare
    v_now timestamptz := interlock.clock();
    v_owner public.trading_policies;
    v_reason text;
    v_halted jsonb := '[]';
begin
    perform interlock.act_as('cleanup');
    for v_owner in
        select policy.*
        from public.trading_policies as policy
        join public.trading_owners as owner on owner.user_id = policy.user_id
        order by policy.user_id -- runs that overlap wait for each other in one order
    loop
        v_reason := interlock.failing_reason(v_owner.user_id, v_owner.loosened_at, v_now);
        -- What is halted for this reason already is not halted again each minute; for another one it is.
        continue when v_reason is null
            or (v_owner.trading_state = 'HALTED' and interlock.names_reason(v_owner.state_reason, v_reason));
        begin
            perform pg_advisory_xact_lock(interlock.lock_class('user gate'), hashtext(v_owner.user_id::text));
            update public.trading_policies
            set trading_state = 'HALTED', state_reason = v_reason
            where user_id = v_owner.user_id
                -- A run that overlaps was first.
                and not (trading_state = 'HALTED' and interlock.names_reason(state_reason, v_reason))
                -- Who loosened while this run waited for the gate has begun a new count.
                and loosened_at = v_owner.loosened_at;
            if found then
                v_halted := v_halted || jsonb_build_array(jsonb_build_object('user_id', v_owner.user_id, 'reason', v_reason));
            end if;
        exception
            when lock_not_available or deadlock_detected then
                null; -- the next run, a minute later, tries again
        end;
    end loop;
    return jsonb_build_object('halted', v_halted);
end
$$;
comment on function public.halt_failing_owners() is
    'Halts the trading of every owner whose executions keep failing; only a person lifts it.';
