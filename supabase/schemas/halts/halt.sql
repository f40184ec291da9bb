create function interlock.halt(p_reason text) returns void
language plpgsql volatile set search_path = ''
as $$
begin
    -- GUARD: gate before rows. Whoever finds out only now that a fact halts lets go of its rows, asks, and starts again.
    if current_setting('interlock.gate_waived', true) is distinct from 'on' then
        raise sqlstate 'IL001' using message = 'A halt asks for the gate first.';
    end if;
    update public.trading_controls
    set trading_state = 'HALTED', reason = left(p_reason, 500), version = version + 1
    where singleton;
end
$$;
comment on function interlock.halt(text) is
    'Halts trading globally, once the gate was asked for. A halt of what is halted raises the version as '
    'well: whoever resumes has to know of it.';
