create function interlock.holds_back(p_mark interlock.market_marks) returns boolean
language sql immutable parallel safe set search_path = ''
as $$
    select p_mark.traded or (p_mark.first_read_at is not null and p_mark.unread is distinct from 'REFUSED')
$$;
comment on function interlock.holds_back(interlock.market_marks) is
    'Does live trading wait for the comparison of this market? For one that was traded, always; for one '
    'that was only read, while the exchange has it.';
