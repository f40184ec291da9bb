create function interlock.as_uuid(p_text text) returns uuid
language sql immutable strict parallel safe set search_path = ''
as $$
    select case when p_text ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then p_text::uuid end
$$;
comment on function interlock.as_uuid(text) is 'A text as a uuid, or null when it is none.';
