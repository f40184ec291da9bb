create function interlock.controls_are_versioned() returns trigger
language plpgsql set search_path = ''
as $$
begin
    -- Until somebody loosens it, nothing takes a reason away: it may be one that nobody has read yet.
    if old.trading_state <> 'ACTIVE' and interlock.strictness(new.trading_state) >= interlock.strictness(old.trading_state) then
        new.reason := interlock.reasons(old.reason, new.reason);
    end if;
    if new.reconciled_at > interlock.clock() then
        new.reconciled_at := interlock.clock();
    end if;
    if new.reconciled_at < old.reconciled_at then
        new.reconciled_at := old.reconciled_at;
    end if;
    -- Whoever writes the version has halted what was halted already; a comparison by hand opens live trading.
    if (new.reconciled_at is distinct from old.reconciled_at and interlock.actor() <> 'cleanup')
        or to_jsonb(new) - '{reconciled_at,updated_at}'::text[]
            is distinct from to_jsonb(old) - '{reconciled_at,updated_at}'::text[] then
        new.version := old.version + 1;
        new.updated_at := interlock.clock();
    end if;
    return new;
end
$$;
comment on function interlock.controls_are_versioned() is
    'Trigger: a change raises the version, and so does a halt of what is halted; reasons add up until the '
    'state is loosened; reconciled_at only rises, never past now, and leaves the version alone when '
    'cleanup has compared.';

create trigger b_changes_are_versioned before update on public.trading_controls
for each row execute function interlock.controls_are_versioned();
