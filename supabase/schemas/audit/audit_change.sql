create function interlock.audit_change() returns trigger
language plpgsql security definer set search_path = ''
as $$
declare
    v_new jsonb := case when tg_op <> 'DELETE' then interlock.row_json(to_jsonb(new)) end;
    v_old jsonb := case when tg_op <> 'INSERT' then interlock.row_json(to_jsonb(old)) end;
    v_row jsonb := coalesce(v_new, v_old);
    v_changes jsonb := interlock.changed_fields(coalesce(v_old, '{}'), coalesce(v_new, '{}'), array['updated_at', 'version']);
begin
    case tg_table_name
        when 'trade_executions' then
            if tg_op = 'INSERT' then
                perform interlock.write_audit(
                    'EXECUTION_' || new.status, new.user_id, new.proposal_id, new.id, v_new - '{policy_snapshot}'::text[]);
            elsif new.status is distinct from old.status or new.filled_amount is distinct from old.filled_amount
                or new.fee is distinct from old.fee then
                perform interlock.write_audit('EXECUTION_' || new.status, new.user_id, new.proposal_id, new.id, v_changes);
            end if;
        when 'trade_history' then
            perform interlock.write_audit('FILL_RECORDED', new.user_id, null, new.execution_id, v_new);
        when 'trade_proposals' then
            if tg_op = 'INSERT' then
                perform interlock.write_audit('PROPOSAL_STORED', new.user_id, new.id, null,
                    v_new - '{policy_snapshot,market_snapshot}'::text[]);
            elsif tg_op = 'DELETE' then
                perform interlock.write_audit('PROPOSAL_DELETED', old.user_id, old.id, null, v_old);
            elsif new.status is distinct from old.status and new.status in ('EXPIRED', 'DECLINED') then
                perform interlock.write_audit('PROPOSAL_' || new.status, new.user_id, new.id, null, '{}');
            end if;
        when 'scan_jobs' then
            if tg_op = 'DELETE' then
                perform interlock.write_audit('SCAN_DELETED', old.user_id, null, null, v_old - 'lock_token');
            elsif tg_op = 'INSERT' or new.enabled is distinct from old.enabled then
                perform interlock.write_audit(
                    case when new.enabled then 'SCAN_ENABLED' else 'SCAN_DISABLED' end,
                    new.user_id, null, null,
                    jsonb_build_object('scan_job_id', new.id, 'last_error', new.last_error));
            end if;
        when 'trading_controls' then
            if new.version <> old.version then
                perform interlock.write_audit('CONTROLS_CHANGED', null, null, null, v_changes);
            end if;
        when 'trading_policies' then
            perform interlock.write_audit(
                case tg_op when 'INSERT' then 'POLICY_CREATED' when 'DELETE' then 'POLICY_DELETED' else 'POLICY_CHANGED' end,
                (v_row ->> 'user_id')::uuid, null, null, coalesce(nullif(v_changes, '{}'), v_row));
        when 'trading_owners' then
            perform interlock.write_audit(
                case tg_op when 'INSERT' then 'OWNER_NAMED' when 'DELETE' then 'OWNER_REMOVED' else 'OWNER_NOTED' end,
                (v_row ->> 'user_id')::uuid, null, null, v_row);
    end case;
    return null;
end
$$;
comment on function interlock.audit_change() is
    'Trigger: one audit event for each change that matters. It only inserts and takes no lock. Definer: '
    'no role but the owner writes the audit.';

create trigger z_audit after insert or update on public.trade_executions
for each row execute function interlock.audit_change();

create trigger z_audit after insert or update on public.trade_history
for each row execute function interlock.audit_change();

create trigger z_audit after insert or update or delete on public.trade_proposals
for each row execute function interlock.audit_change();

create trigger z_audit after insert or update of enabled or delete on public.scan_jobs
for each row execute function interlock.audit_change();

create trigger z_audit after update on public.trading_controls
for each row execute function interlock.audit_change();

create trigger z_audit after insert or update or delete on public.trading_policies
for each row execute function interlock.audit_change();

create trigger z_audit after insert or update or delete on public.trading_owners
for each row execute function interlock.audit_change();
