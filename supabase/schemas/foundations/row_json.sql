create function interlock.row_json(p_row jsonb) returns jsonb
language sql immutable strict parallel safe set search_path = ''
as $$
    select coalesce(
        jsonb_object_agg(
            field.key,
            case jsonb_typeof(field.value) when 'number' then to_jsonb(field.value #>> '{}') else field.value end
        ),
        '{}'
    )
    from jsonb_each(p_row) as field
$$;
comment on function interlock.row_json(jsonb) is
    'A row for an answer: its numbers as text, so that no reader passes money or a 64-bit integer through '
    'a float. Documents stored in a column stay as they are.';
