create function interlock.all_passed(p_checks jsonb) returns boolean
language sql immutable strict parallel safe set search_path = ''
as $$
    select coalesce(bool_and(verdict.value ->> 'verdict' in ('PASSED', 'NOT_APPLICABLE')), false)
    from jsonb_array_elements(p_checks) as verdict
$$;
comment on function interlock.all_passed(jsonb) is 'Did every check pass? No checks at all is no.';
