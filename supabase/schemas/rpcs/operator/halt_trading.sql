create function public.halt_trading(p_reason text) returns jsonb
language plpgsql volatile security definer set search_path = '' set timezone = 'UTC'
as $$
begin
    perform interlock.act_as('operator');
    perform pg_advisory_xact_lock(interlock.lock_class('global gate'), 0);
    -- No halt is refused for its words.
    update public.trading_controls
    set
        trading_state = 'HALTED',
        reason = coalesce(nullif(trim(left(p_reason, 500)), ''), 'no reason was given'),
        version = version + 1
    where singleton;
    return interlock.controls_json();
end
$$;
comment on function public.halt_trading(text) is
    'Halts all trading. Once it has answered, no claim is granted, and the exchange accepts nothing later '
    'than one access window after.';
