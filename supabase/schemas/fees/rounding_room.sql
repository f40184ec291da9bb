create function interlock.rounding_room(p_value numeric) returns numeric
language sql immutable strict parallel safe set search_path = ''
as $$ select least(10, 2 + div(p_value, 5)) * 0.01 $$;
comment on function interlock.rounding_room(numeric) is
    'EUR that rounding may cost an order of this value beyond its fee: a cent a fill, for two fills and '
    'one more for every 5 EUR, the least order that rests in a EUR market, and for ten at most.';
