create function interlock.as_decimal(p_text text) returns numeric
language sql immutable strict parallel safe set search_path = ''
as $$
    select case when p_text ~ '^-?[0-9]{1,20}(\.[0-9]{1,30})?$' then p_text::numeric end
$$;
comment on function interlock.as_decimal(text) is
    'A text as a number, or null when it is no plain decimal: no exponent, no NaN, nothing infinite.';
