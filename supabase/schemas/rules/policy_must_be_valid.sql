create function interlock.policy_must_be_valid() returns trigger
language plpgsql security definer set search_path = ''
as $$
declare
    v_error text := interlock.policy_error(new.policy);
begin
    if v_error is not null then
        raise exception using
            errcode = 'check_violation',
            message = v_error,
            constraint = 'policy_is_complete_and_valid',
            table = 'trading_policies';
    end if;
    return new;
end
$$;
comment on function interlock.policy_must_be_valid() is
    'Trigger: names what is wrong with a policy before the constraint refuses it. Definer: whoever writes '
    'may not read the rule book.';

create trigger a_wrong_policy_is_named
before insert or update of policy on public.trading_policies
for each row execute function interlock.policy_must_be_valid();
