create function interlock.strictness(p_state text) returns integer
language sql immutable strict parallel safe set search_path = ''
as $$ select case p_state when 'ACTIVE' then 0 when 'REDUCE_ONLY' then 1 else 2 end $$;
comment on function interlock.strictness(text) is
    'ACTIVE 0, REDUCE_ONLY 1, HALTED 2. The stricter of two states holds.';
