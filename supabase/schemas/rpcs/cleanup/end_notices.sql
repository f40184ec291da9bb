create function public.end_notices(p_notices jsonb) returns jsonb
language plpgsql volatile security definer set search_path = '' set timezone = 'UTC'
as $$
declare
    v_ended bigint;
begin
    if jsonb_typeof(p_notices) is distinct from 'array' then
        raise sqlstate 'PT400' using message = 'INVALID_NOTICES', detail = 'Notices that were told are a list of their names.';
    end if;
    perform interlock.act_as('cleanup');
    delete from interlock.notices
    where notice in (select item.value from jsonb_array_elements_text(p_notices) as item)
        and notice not like 'HALTED %'
        and told > 0;
    get diagnostics v_ended = row_count;
    return jsonb_build_object('ended', v_ended::text);
end
$$;
comment on function public.end_notices(jsonb) is
    'These were told. A halt that stands stays: it ends when a person lifts it.';
