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
