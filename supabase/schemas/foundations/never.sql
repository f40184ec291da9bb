create function interlock.never() returns trigger
language plpgsql set search_path = ''
as $$
begin
    raise exception using
        errcode = 'restrict_violation',
        message = format('%s of %I.%I is refused: its rows are evidence and are kept', tg_op, tg_table_schema, tg_table_name),
        hint = 'Evidence is moved to schema interlock_archive by supabase/rollback/, never dropped.';
end
$$;
comment on function interlock.never() is 'Trigger: the operation is refused for every role.';
