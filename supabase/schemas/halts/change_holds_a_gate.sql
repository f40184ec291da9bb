create function interlock.change_holds_a_gate() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
    -- GUARD: a fact that halts has asked for the gate, and is written even if it could not be had in time.
    if current_setting('interlock.gate_waived', true) = 'on' then
        return null;
    end if;
    -- GUARD: one owner's policy may change under that owner's gate; the controls concern everybody.
    if tg_table_name = 'trading_policies' and interlock.holds_a_gate() then
        return null;
    end if;
    perform pg_advisory_xact_lock(interlock.lock_class('global gate'), 0);
    return null;
end
$$;
comment on function interlock.change_holds_a_gate() is
    'Trigger: before a state, mode, limit or policy changes, the change waits for every open claim and '
    'keeps new ones waiting. Definer: pg_locks and the lock classes are internal.';

create trigger a_change_holds_a_gate
before update of trading_state, reason, mode, operator_id, trade_key_fingerprint, max_order_eur, max_daily_value_eur
on public.trading_controls
for each statement execute function interlock.change_holds_a_gate();

create trigger a_change_holds_a_gate
before insert or update or delete on public.trading_policies
for each statement execute function interlock.change_holds_a_gate();

create trigger a_change_holds_a_gate
before delete on public.trading_owners
for each statement execute function interlock.change_holds_a_gate();
