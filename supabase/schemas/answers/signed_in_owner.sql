create function interlock.signed_in_owner() returns uuid
language plpgsql volatile set search_path = ''
as $$
declare
    v_user_id uuid := auth.uid();
begin
    perform interlock.require_owner(v_user_id);
    perform interlock.act_as('owner');
    return v_user_id;
end
$$;
comment on function interlock.signed_in_owner() is 'The owner whose token signed this request, or PT403.';
