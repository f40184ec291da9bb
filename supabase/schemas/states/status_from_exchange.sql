-- Record

create function interlock.status_from_exchange(p_word text, p_filled numeric) returns text
language sql immutable parallel safe set search_path = ''
as $$
    select case
        when p_word in ('new', 'awaitingTrigger') then case when p_filled > 0 then 'PARTIALLY_FILLED' else 'OPEN' end
        when p_word = 'partiallyFilled' and p_filled > 0 then 'PARTIALLY_FILLED'
        when p_word = 'filled' and p_filled > 0 then 'FILLED'
        when p_word like 'canceled%' or p_word = 'expired' then 'CANCELED'
        when p_word = 'rejected' and p_filled = 0 then 'REJECTED'
        else 'UNKNOWN'
    end
$$;
comment on function interlock.status_from_exchange(text, numeric) is
    'The status that the exchange''s word means. Any word that is not listed means UNKNOWN.';
