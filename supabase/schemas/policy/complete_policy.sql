create function interlock.complete_policy(p_given jsonb) returns jsonb
language plpgsql immutable set search_path = ''
as $$
declare
    v_policy jsonb := interlock.merge(interlock.default_policy(), p_given);
begin
    if jsonb_typeof(v_policy -> 'allowlist') = 'array' then
        v_policy := jsonb_set(v_policy, '{allowlist}', coalesce(
            (
                select jsonb_agg(
                    case jsonb_typeof(item.value)
                        when 'string' then to_jsonb(replace(item.value #>> '{}', '/', '-'))
                        else item.value
                    end
                    order by item.ordinality
                )
                from jsonb_array_elements(v_policy -> 'allowlist') with ordinality as item
            ),
            '[]'
        ));
    end if;
    return v_policy;
end
$$;
comment on function interlock.complete_policy(jsonb) is
    'A given policy with every missing field filled by its default and BTC/EUR written BTC-EUR. It may '
    'still be invalid: policy_error says.';
