create function public.expire_old_proposals() returns jsonb
language plpgsql volatile security definer set search_path = '' set timezone = 'UTC'
as $$
declare
    v_now timestamptz := interlock.clock();
    v_expired bigint;
begin
    perform interlock.act_as('cleanup');
    update public.trade_proposals
    set status = 'EXPIRED'
    where id in (
        select proposal.id
        from public.trade_proposals as proposal
        where proposal.status = 'PENDING' and proposal.expires_at <= v_now
        order by proposal.expires_at
        limit 1000
        for update skip locked
    );
    get diagnostics v_expired = row_count;
    return jsonb_build_object('expired', v_expired::text);
end
$$;
comment on function public.expire_old_proposals() is
    'Marks proposals past their time EXPIRED, at most 1000 a call. One that is being claimed is passed over.';
