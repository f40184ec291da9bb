create function interlock.shows_an_operator(p_order jsonb) returns boolean
language sql immutable parallel safe set search_path = ''
as $$
    -- The least number there is stands for none in recorded orders.
    select coalesce(p_order ->> 'operatorId', '-9223372036854775808') <> '-9223372036854775808'
$$;
comment on function interlock.shows_an_operator(jsonb) is
    'Does an order object say by which operatorId it was sent?';
