create function interlock.proposal_takes_policy() returns trigger
language plpgsql security definer set search_path = ''
as $$
declare
    v_policy public.trading_policies;
begin
    if new.legacy is not null then
        return new;
    end if;
    select * into v_policy from public.trading_policies as policy where policy.user_id = new.user_id;
    new.policy_hash := coalesce(new.policy_hash, v_policy.policy_hash);
    new.policy_snapshot := coalesce(new.policy_snapshot, v_policy.policy);
    new.expires_at := coalesce(
        new.expires_at,
        new.created_at + make_interval(mins => (v_policy.policy ->> 'proposal_ttl_minutes')::integer)
    );
    return new;
end
$$;
comment on function interlock.proposal_takes_policy() is
    'Trigger: a new proposal keeps the policy it was made under, and expires as that policy says, unless '
    'it brings its own. Definer: whoever inserts may not read policies.';

create trigger a_new_proposal_takes_the_policy
before insert on public.trade_proposals
for each row execute function interlock.proposal_takes_policy();
