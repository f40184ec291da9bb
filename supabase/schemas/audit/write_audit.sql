create function interlock.write_audit(
    p_event text, p_user_id uuid, p_proposal_id uuid, p_execution_id uuid, p_detail jsonb
) returns void
language plpgsql volatile security definer set search_path = ''
as $$
begin
    insert into public.audit_events (user_id, proposal_id, execution_id, actor, event, detail)
    values (p_user_id, p_proposal_id, p_execution_id, interlock.actor(), p_event, p_detail);
end
$$;
comment on function interlock.write_audit(text, uuid, uuid, uuid, jsonb) is
    'One audit event. Definer: no role but the owner writes the audit.';
