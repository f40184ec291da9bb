create function interlock.require_owner(p_user_id uuid) returns void
language plpgsql volatile set search_path = ''
as $$
begin
    if p_user_id is null or not exists (select from public.trading_owners as owner where owner.user_id = p_user_id) then
        raise sqlstate 'PT403' using message = 'NOT_AN_OWNER', detail = 'The operator has not named this user as an owner.';
    end if;
end
$$;
comment on function interlock.require_owner(uuid) is
    'Raises PT403 NOT_AN_OWNER unless the operator named the user.';
