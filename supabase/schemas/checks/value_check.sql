create function interlock.value_check(
    p_check text, p_code text, p_order_value numeric, p_used numeric, p_limit numeric
) returns jsonb
language sql immutable parallel safe set search_path = ''
as $$
    select case
        when p_order_value is null then
            interlock.undecided(p_check, 'NOT_EVALUATED', jsonb_build_object('limit_eur', p_limit, 'used_eur', p_used))
        else interlock.verdict(
            p_check,
            case when p_used + p_order_value <= p_limit then null else p_code end,
            jsonb_build_object('order_value_eur', p_order_value, 'used_eur', p_used, 'limit_eur', p_limit)
        )
    end
$$;
comment on function interlock.value_check(text, text, numeric, numeric, numeric) is
    'Does the order fit into what is left of a limit? Not evaluated while the value of a sell is not known.';
