create function interlock.policies_are_versioned() returns trigger
language plpgsql set search_path = ''
as $$
begin
    new.version := old.version + 1;
    new.updated_at := interlock.clock();
    if interlock.strictness(new.trading_state) < interlock.strictness(old.trading_state) then
        new.loosened_at := new.updated_at;
    elsif old.trading_state <> 'ACTIVE' then
        new.state_reason := interlock.reasons(old.state_reason, new.state_reason);
    end if;
    return new;
end
$$;
comment on function interlock.policies_are_versioned() is
    'Trigger: a change raises the version; loosening the state restarts what automatic halts count, and '
    'until then reasons add up.';

create trigger b_changes_are_versioned before update on public.trading_policies
for each row execute function interlock.policies_are_versioned();
