create function interlock.is_unsettled(p_status text) returns boolean
language sql immutable strict parallel safe set search_path = ''
as $$ select p_status in ('CLAIMED', 'UNKNOWN', 'OPEN', 'PARTIALLY_FILLED') $$;
comment on function interlock.is_unsettled(text) is 'May an execution of this status still spend?';
