create function interlock.undecided(p_check text, p_verdict text, p_facts jsonb default '{}') returns jsonb
language sql immutable parallel safe set search_path = ''
as $$
    select jsonb_build_object('check', p_check, 'verdict', p_verdict, 'code', null, 'facts', interlock.row_json(p_facts))
$$;
comment on function interlock.undecided(text, text, jsonb) is
    'A check that is NOT_EVALUATED (does not pass) or NOT_APPLICABLE (passes).';
