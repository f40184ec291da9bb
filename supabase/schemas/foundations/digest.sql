create function interlock.digest(p_text text) returns text
language sql immutable strict parallel safe set search_path = ''
as $$
    select encode(sha256(convert_to(p_text, 'UTF8')), 'hex')
$$;
comment on function interlock.digest(text) is 'SHA-256 of a text in UTF-8, as 64 hex digits.';
