-- What an order may cost. The deployed code reckons with the same numbers.

create function interlock.taker_fee() returns numeric
language sql immutable parallel safe set search_path = ''
as $$ select 0.0025 $$;
comment on function interlock.taker_fee() is
    'Bitvavo''s default taker fee, 0.25 %, as a share of what was traded.';
