create function interlock.ask_for_the_gate() returns void
language plpgsql volatile set search_path = ''
as $$
begin
    begin
        perform pg_advisory_xact_lock(interlock.lock_class('global gate'), 0);
    exception
        when lock_not_available or deadlock_detected then
            null;
    end;
    perform set_config('interlock.gate_waived', 'on', true);
end
$$;
comment on function interlock.ask_for_the_gate() is
    'The global gate, for whoever has a fact that may halt, before any row. What cannot have it in time '
    'halts without it: a claim that hangs must not hide a fact.';
