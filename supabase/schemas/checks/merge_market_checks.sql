create function interlock.merge_market_checks(
    p_given jsonb, p_mode text, p_order_type text, p_now timestamptz, p_access_timestamp bigint, p_access_window_ms integer
) returns jsonb
language plpgsql immutable set search_path = ''
as $$
declare
    v_now_ms numeric := floor(extract(epoch from p_now) * 1000);
    v_facts jsonb := jsonb_build_object(
        'access_timestamp', p_access_timestamp, 'database_ms', v_now_ms, 'access_window_ms', p_access_window_ms);
    v_checks jsonb := '[]';
    v_name text;
    v_found jsonb;
begin
    foreach v_name in array array[
        'price_moved', 'spread', 'limit_collar', 'market_trading', 'market_minimum', 'order_exists', 'clock', 'window'
    ] loop
        select jsonb_agg(item.value) into v_found
        from jsonb_array_elements(p_given) as item
        where item.value ->> 'check' = v_name;
        v_checks := v_checks || case
            when v_found is null or jsonb_array_length(v_found) <> 1
                then interlock.undecided(v_name, 'NOT_EVALUATED', '{"handed_in": false}')
            when v_found #>> '{0,verdict}' in ('PASSED', 'NOT_APPLICABLE')
                and v_name = 'clock' and p_access_timestamp > v_now_ms + 2000
                then interlock.verdict('clock', 'CLOCK_SKEW', v_facts)
            when v_found #>> '{0,verdict}' in ('PASSED', 'NOT_APPLICABLE')
                and v_name = 'window' and p_access_timestamp < v_now_ms - p_access_window_ms / 2.0
                then interlock.verdict('window', 'TOO_LATE', v_facts)
            when v_found #>> '{0,verdict}' = 'PASSED' then v_found -> 0
            when v_found #>> '{0,verdict}' = 'NOT_APPLICABLE' and (
                (v_name = 'order_exists' and p_mode = 'dry_run') or (v_name = 'limit_collar' and p_order_type = 'market')
            ) then v_found -> 0
            when v_found #>> '{0,verdict}' = 'FAILED' and v_found #>> '{0,code}' is not null then v_found -> 0
            else interlock.undecided(
                v_name, 'NOT_EVALUATED',
                case jsonb_typeof(v_found #> '{0,facts}') when 'object' then v_found #> '{0,facts}' else '{}' end
            )
        end;
    end loop;
    return v_checks;
end
$$;
comment on function interlock.merge_market_checks(jsonb, text, text, timestamptz, bigint, integer) is
    'The market verdicts that the function hands in: all of them, each once, none waved through. The '
    'database decides clock and window again on its own clock.';
