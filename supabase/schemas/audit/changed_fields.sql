create function interlock.changed_fields(p_old jsonb, p_new jsonb, p_left_out text[] default '{}') returns jsonb
language sql immutable set search_path = ''
as $$
    select coalesce(jsonb_object_agg(field.key, jsonb_build_array(p_old -> field.key, field.value)), '{}')
    from jsonb_each(p_new) as field
    where p_old -> field.key is distinct from field.value and field.key <> all (p_left_out)
$$;
comment on function interlock.changed_fields(jsonb, jsonb, text[]) is
    'What an update changed: field, [old, new].';
