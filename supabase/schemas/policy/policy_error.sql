create function interlock.policy_error(p_policy jsonb) returns text
language plpgsql immutable set search_path = ''
as $$
declare
    v_path text[];
    v_given text[];
    v_wanted text[];
    v_error text;
    v_market jsonb;
begin
    foreach v_path slice 1 in array array[['', ''], ['limits', ''], ['limits', 'order'], ['limits', 'daily'], ['limits', 'gpt']] loop
        v_path := array_remove(v_path, '');
        if jsonb_typeof(p_policy #> v_path) is distinct from 'object' then
            return format('%s must be an object', coalesce(nullif(array_to_string(v_path, '.'), ''), 'a policy'));
        end if;
        select array_agg(key order by key) into v_given from jsonb_object_keys(p_policy #> v_path) as key;
        select array_agg(key order by key) into v_wanted from jsonb_object_keys(interlock.default_policy() #> v_path) as key;
        if v_given is distinct from v_wanted then
            select format(
                '%s %s',
                array_to_string(v_path || left(min(name.key), 60), '.'),
                case when min(name.key) = any (v_wanted) then 'is missing' else 'is not a field of a policy' end
            )
            into v_error
            from (
                (select unnest(v_given) as key except select unnest(v_wanted))
                union all
                (select unnest(v_wanted) except select unnest(v_given))
            ) as name;
            return v_error;
        end if;
    end loop;

    if jsonb_typeof(p_policy -> 'allowlist') <> 'array' then
        return 'allowlist must be an array of markets such as "BTC-EUR"';
    end if;
    if jsonb_array_length(p_policy -> 'allowlist') > 100 then
        return 'allowlist must name at most 100 markets';
    end if;
    for v_market in select item.value from jsonb_array_elements(p_policy -> 'allowlist') as item loop
        if jsonb_typeof(v_market) <> 'string' or v_market #>> '{}' !~ '^[A-Z0-9]{1,20}-[A-Z0-9]{2,10}$' then
            return format('allowlist must name markets such as "BTC-EUR", not %s', left(v_market::text, 60));
        end if;
    end loop;
    if (select count(distinct item.value) from jsonb_array_elements(p_policy -> 'allowlist') as item)
        < jsonb_array_length(p_policy -> 'allowlist') then
        return 'allowlist must name each market once';
    end if;

    v_error := coalesce(
        interlock.policy_number_error(p_policy, '{min_confidence}', 'number', 0, 100),
        interlock.policy_number_error(p_policy, '{limits,order,min_eur}', 'decimal text', 0.01, 1000000),
        interlock.policy_number_error(p_policy, '{limits,order,max_eur}', 'decimal text', 0.01, 1000000),
        interlock.policy_number_error(p_policy, '{limits,daily,trades}', 'integer', 0, 10000),
        interlock.policy_number_error(p_policy, '{limits,daily,value_eur}', 'decimal text', 0, 100000000),
        interlock.policy_number_error(p_policy, '{limits,gpt,daily}', 'integer', 0, 10000),
        interlock.policy_number_error(p_policy, '{limits,gpt,hourly}', 'integer', 0, 10000),
        interlock.policy_number_error(p_policy, '{cooldown_minutes}', 'integer', 0, 525600),
        interlock.policy_number_error(p_policy, '{anti_flip_minutes}', 'integer', 0, 525600),
        interlock.policy_number_error(p_policy, '{max_price_move_percent}', 'decimal text', 0, 50),
        interlock.policy_number_error(p_policy, '{max_spread_percent}', 'decimal text', 0, 50),
        interlock.policy_number_error(p_policy, '{proposal_ttl_minutes}', 'integer', 1, 1440),
        interlock.policy_number_error(p_policy, '{scan_interval_minutes}', 'integer', 1, 10080)
    );
    if v_error is not null then
        return v_error;
    end if;
    if (p_policy #>> '{limits,order,min_eur}')::numeric > (p_policy #>> '{limits,order,max_eur}')::numeric then
        return 'limits.order.min_eur must not be above limits.order.max_eur';
    end if;
    return null;
end
$$;
comment on function interlock.policy_error(jsonb) is
    'The first sentence that says why a document is not a complete policy, or null when it is one.';
