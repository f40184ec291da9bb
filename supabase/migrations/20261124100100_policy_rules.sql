-- Purpose: what a complete and valid trading policy is. One rule book, used by the constraint, the RPC and the upgrade.
-- Objects: interlock.default_policy, complete_policy, policy_error, policy_hash.

set local lock_timeout = '5s';
set local statement_timeout = '60s';

create function interlock.default_policy() returns jsonb
language sql immutable parallel safe set search_path = ''
as $$
    select '{
        "allowlist": [],
        "min_confidence": 70,
        "limits": {
            "order": {"min_eur": "6", "max_eur": "250"},
            "daily": {"trades": 5, "value_eur": "1000"},
            "gpt": {"daily": 20, "hourly": 4}
        },
        "cooldown_minutes": 60,
        "anti_flip_minutes": 120,
        "max_price_move_percent": "1.0",
        "max_spread_percent": "0.5",
        "proposal_ttl_minutes": 15,
        "scan_interval_minutes": 60
    }'::jsonb
$$;
comment on function interlock.default_policy() is
    'The defaults that set_trading_policy fills in. The allowlist is empty: nothing may trade until the owner names a market.';

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
comment on function interlock.merge(jsonb, jsonb) is 'The given document over the defaults, object by object.';

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
    'A given policy with every missing field filled by its default and BTC/EUR written BTC-EUR. It may still be invalid: policy_error says.';

create function interlock.policy_number_error(
    p_policy jsonb, p_path text[], p_type text, p_least numeric, p_most numeric
) returns text
language plpgsql immutable set search_path = ''
as $$
declare
    v_value jsonb := p_policy #> p_path;
    v_name text := array_to_string(p_path, '.');
    v_text text := p_policy #>> p_path;
    v_range text := format('from %s to %s', p_least, p_most);
begin
    if p_type = 'decimal text' then
        if jsonb_typeof(v_value) is distinct from 'string' or v_text !~ '^(0|[1-9][0-9]{0,11})(\.[0-9]{1,8})?$' then
            return format('%s must be a decimal in a string, such as "6" or "0.5", %s', v_name, v_range);
        end if;
    elsif jsonb_typeof(v_value) is distinct from 'number' or (p_type = 'integer' and v_text !~ '^[0-9]{1,9}$') then
        return format('%s must be a%s number %s', v_name, case p_type when 'integer' then ' whole' else '' end, v_range);
    end if;
    if v_text::numeric < p_least or v_text::numeric > p_most then
        return format('%s must be %s, not %s', v_name, v_range, left(v_text, 60));
    end if;
    return null;
end
$$;
comment on function interlock.policy_number_error(jsonb, text[], text, numeric, numeric) is
    'The sentence that says what is wrong with one number of a policy, or null.';

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

create function interlock.policy_hash(p_policy jsonb) returns text
language sql immutable strict parallel safe set search_path = ''
as $$
    select interlock.digest(p_policy::text)
$$;
comment on function interlock.policy_hash(jsonb) is
    'The identity of a policy: SHA-256 over its jsonb text, in which keys have one order and no spacing varies.';
