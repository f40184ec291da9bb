create function interlock.proposal_and_execution_agree() returns trigger
language plpgsql security definer set search_path = ''
as $$
declare
    v_proposal_id uuid := (to_jsonb(new) ->> case tg_table_name when 'trade_proposals' then 'id' else 'proposal_id' end)::uuid;
    v_proposal text;
    v_execution text;
    v_legacy boolean;
begin
    select proposal.status, proposal.legacy is not null into v_proposal, v_legacy
    from public.trade_proposals as proposal
    where proposal.id = v_proposal_id;
    select execution.status into v_execution
    from public.trade_executions as execution
    where execution.proposal_id = v_proposal_id;
    if not found and not v_legacy and v_proposal in ('EXECUTING', 'EXECUTED', 'FAILED') then
        raise exception using
            errcode = 'integrity_constraint_violation',
            message = format('a proposal is %s only with an execution', v_proposal);
    end if;
    if v_execution is not null and v_proposal is distinct from interlock.proposal_status_for(v_execution) then
        raise exception using
            errcode = 'integrity_constraint_violation',
            message = format('a proposal whose execution is %s is %s, not %s',
                v_execution, interlock.proposal_status_for(v_execution), v_proposal);
    end if;
    return null;
end
$$;
comment on function interlock.proposal_and_execution_agree() is
    'Constraint trigger, at commit: a proposal and its execution say the same. Definer: it must see both '
    'rows whoever writes.';

create constraint trigger proposal_and_execution_agree
after insert or update of status on public.trade_executions
deferrable initially deferred
for each row execute function interlock.proposal_and_execution_agree();

create constraint trigger proposal_and_execution_agree
after insert or update of status on public.trade_proposals
deferrable initially deferred
for each row execute function interlock.proposal_and_execution_agree();
