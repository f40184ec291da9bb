create function interlock.verdict(p_check text, p_failed_with text, p_facts jsonb) returns jsonb
language sql immutable parallel safe set search_path = ''
as $$
    select jsonb_build_object(
        'check', p_check,
        'verdict', case when p_failed_with is null then 'PASSED' else 'FAILED' end,
        'code', p_failed_with,
        'facts', interlock.row_json(coalesce(p_facts, '{}'))
    )
$$;
comment on function interlock.verdict(text, text, jsonb) is
    'One check, its verdict and the facts that decided it.';
