-- Purpose: who may call and look at what. Everything not named here is executable by nobody but the database's owner.
-- Objects: grants on functions and views.

set local lock_timeout = '5s';
set local statement_timeout = '60s';

revoke execute on all functions in schema public from public, anon, authenticated, service_role;
revoke execute on all functions in schema interlock from public, anon, authenticated, service_role;

grant execute on function
    public.begin_execution(uuid, uuid, text, bigint, text, boolean, boolean),
    public.claim_execution(uuid, uuid, uuid, text, bigint, text, text, text, boolean, boolean, bigint, integer, numeric, text, jsonb),
    public.record_execution_result(uuid, text, uuid, text, jsonb, jsonb, text),
    public.get_execution_status(uuid),
    public.claim_due_scan_jobs(text, integer),
    public.check_gpt_budget(uuid, integer, integer),
    public.reserve_gpt_call(uuid, uuid, uuid, text, text),
    public.log_gpt_usage(uuid, uuid, uuid, text, text, text, text, bigint, bigint),
    public.finish_scan(uuid, uuid, text, text, jsonb, jsonb, text),
    public.release_job_lock(uuid, uuid, integer, text),
    public.expire_old_proposals(),
    public.cleanup_expired_locks(),
    public.begin_cleanup(text, text, bigint, text, integer),
    public.release_reconciliation(uuid, text),
    public.announce_cancel(uuid, text),
    public.alarm_overdue_executions(),
    public.record_absence(uuid, text, text, text, timestamptz, bigint, bigint),
    public.halt_failing_owners(),
    public.stop_watching(text, text, text),
    public.compare_orders(text, timestamptz, bigint, bigint, jsonb),
    public.seal_audit_events(integer),
    public.verify_audit_chain(bigint, text, integer),
    public.settle_by_hand(uuid, text, text, text, jsonb),
    public.halt_trading(text),
    public.set_trading_controls(jsonb, bigint)
to service_role;

grant execute on function
    public.set_trading_policy(jsonb),
    public.set_trading_state(text, bigint),
    public.schedule_scan(boolean),
    public.decline_proposal(uuid)
to authenticated;

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
