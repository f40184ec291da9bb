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
