create function interlock.give_notice(p_kind text, p_subject text, p_detail jsonb) returns void
language plpgsql volatile set search_path = ''
as $$
declare
    v_now timestamptz := interlock.clock();
begin
    insert into interlock.notices (notice, detail, at, tell_at)
    values (p_kind || ' ' || p_subject, p_detail, v_now, v_now)
    on conflict (notice) do update
    set detail = excluded.detail, at = excluded.at, tell_at = excluded.tell_at, told = 0;
end
$$;
comment on function interlock.give_notice(text, text, jsonb) is
    'From now on a person has to be told of this.';
