create function public.stop_watching(p_market text, p_who text, p_reason text) returns jsonb
language plpgsql volatile security definer set search_path = '' set timezone = 'UTC' set lock_timeout = '2s'
as $$
begin
    if coalesce(length(trim(p_who)), 0) = 0 or coalesce(length(trim(p_reason)), 0) = 0
        or length(p_who) > 200 or length(p_reason) > 1000 then
        raise sqlstate 'PT400' using
            message = 'INVALID_CHANGE',
            detail = 'Whoever stops watching a market says who they are and why, in at most 200 and 1000 characters.';
    end if;
    perform interlock.act_as('operator');
    -- GUARD: gate before the check, or a claim that is open could trade the market after it.
    perform pg_advisory_xact_lock(interlock.lock_class('global gate'), 0);
    if p_market in (select interlock.allowed_markets()) or exists (
        select from public.trade_executions as execution
        where execution.market = p_market
            and execution.status in ('CLAIMED', 'UNKNOWN', 'OPEN', 'PARTIALLY_FILLED')
            and execution.mode = 'live'
    ) then
        raise sqlstate 'PT409' using
            message = 'MARKET_IN_USE', detail = 'An owner allows this market, or an execution in it is unsettled: it stays watched.';
    end if;
    delete from interlock.market_marks where market = p_market;
    if not found then
        raise sqlstate 'PT404' using message = 'MARKET_NOT_WATCHED', detail = 'This market is not watched.';
    end if;
    perform interlock.write_audit('WATCH_ENDED', null, null, null,
        jsonb_build_object('market', p_market, 'who', p_who, 'reason', p_reason));
    return jsonb_build_object('outcome', 'stopped', 'market', p_market);
end
$$;
comment on function public.stop_watching(text, text, text) is
    'The operator ends the comparison of a market that the exchange no longer has and nobody may trade: '
    'unread, it would keep live trading stopped. Audited with name and reason.';
