create function interlock.order_time(p_ms text) returns timestamptz
language sql immutable set search_path = ''
as $$ select to_timestamp(case when p_ms ~ '^[0-9]{12,14}$' then p_ms::numeric end / 1000) $$;
comment on function interlock.order_time(text) is 'An exchange time in ms as an instant, or null.';
