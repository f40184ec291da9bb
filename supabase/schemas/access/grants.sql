revoke execute on all functions in schema interlock from public, anon, authenticated, service_role;

-- By name: a project may have functions of its own in schema public, and who may call those is its own business.
do $$
declare
    c_of_the_functions constant regprocedure[] := array[
        'public.begin_execution(uuid, uuid, text, bigint, text, boolean, boolean)',
        'public.claim_execution(uuid, uuid, uuid, text, bigint, text, text, text, boolean, boolean, bigint, integer, numeric, text, jsonb)',
        'public.record_execution_result(uuid, text, uuid, text, jsonb, jsonb, text)',
        'public.get_execution_status(uuid)',
        'public.claim_due_scan_jobs(text, integer)',
        'public.check_gpt_budget(uuid, integer, integer)',
        'public.reserve_gpt_call(uuid, uuid, uuid, text, text, bigint)',
        'public.log_gpt_usage(uuid, uuid, uuid, text, text, text, text, bigint, bigint)',
        'public.finish_scan(uuid, uuid, text, text, jsonb, jsonb, text)',
        'public.release_job_lock(uuid, uuid, integer, text)',
        'public.expire_old_proposals()',
        'public.cleanup_expired_locks()',
        'public.begin_cleanup(text, text, bigint, text, integer)',
        'public.release_reconciliation(uuid, text)',
        'public.announce_cancel(uuid, text)',
        'public.alarm_overdue_executions()',
        'public.take_notices(integer)',
        'public.end_notices(jsonb)',
        'public.report_unread_markets(jsonb)',
        'public.record_absence(uuid, text, text, timestamptz, bigint, bigint)',
        'public.halt_failing_owners()',
        'public.stop_watching(text, text, text)',
        'public.compare_orders(text, timestamptz, bigint, bigint, jsonb, boolean)',
        'public.seal_audit_events(integer)',
        'public.verify_audit_chain(bigint, text, integer)',
        'public.settle_by_hand(uuid, text, text, text, jsonb)',
        'public.halt_trading(text)',
        'public.set_trading_controls(jsonb, bigint)'
    ];
    c_of_the_owners constant regprocedure[] := array[
        'public.set_trading_policy(jsonb)',
        'public.set_trading_state(text, bigint, text)',
        'public.schedule_scan(boolean)',
        'public.decline_proposal(uuid)'
    ];
    v_function regprocedure;
begin
    foreach v_function in array c_of_the_functions || c_of_the_owners loop
        execute format('revoke execute on function %s from public, anon, authenticated, service_role', v_function);
    end loop;
    foreach v_function in array c_of_the_functions loop
        execute format('grant execute on function %s to service_role', v_function);
    end loop;
    foreach v_function in array c_of_the_owners loop
        execute format('grant execute on function %s to authenticated', v_function);
    end loop;
end
$$;

-- The defaults and views below evaluate these with the rights of whoever inserts or looks.
grant execute on function interlock.clock() to service_role, authenticated;

do $$
declare
    v_view text;
begin
    foreach v_view in array array[
        'executions_by_hour', 'unsettled_executions', 'incomplete_evidence', 'scan_health', 'model_spend',
        'blocking_checks', 'overrides_used', 'dry_run_results', 'recent_proposals'
    ] loop
        execute format('revoke all on table public.%I from anon, authenticated, service_role', v_view);
        execute format('grant select on table public.%I to authenticated, service_role', v_view);
    end loop;
end
$$;
