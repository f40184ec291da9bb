create function interlock.merge(p_defaults jsonb, p_given jsonb) returns jsonb
language sql immutable parallel safe set search_path = ''
as $$
    select case
        when jsonb_typeof(p_defaults) = 'object' and jsonb_typeof(p_given) = 'object' then (
            select jsonb_object_agg(
                coalesce(wanted.key, given.key),
                case
                    when given.key is null then wanted.value
                    when wanted.key is null then given.value
                    else interlock.merge(wanted.value, given.value)
                end
            )
            from jsonb_each(p_defaults) as wanted
            full join jsonb_each(p_given) as given on given.key = wanted.key
        )
        else p_given
    end
$$;
comment on function interlock.merge(jsonb, jsonb) is
    'The given document over the defaults, object by object.';
