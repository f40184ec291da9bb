create function interlock.user_is_fixed() returns trigger
language plpgsql set search_path = ''
as $$
begin
    raise exception using
        errcode = 'restrict_violation',
        message = format('a row of %I.%I stays with its user', tg_table_schema, tg_table_name),
        hint = 'Delete the row and make another, so that both are audited.';
end
$$;
comment on function interlock.user_is_fixed() is
    'Trigger: no edit hands a row to another user, which would end an ownership without a word.';

create trigger a_row_stays_with_its_user before update of user_id on public.trading_owners
for each row when (new.user_id is distinct from old.user_id) execute function interlock.user_is_fixed();

create trigger a_row_stays_with_its_user before update of user_id on public.trading_policies
for each row when (new.user_id is distinct from old.user_id) execute function interlock.user_is_fixed();

create trigger a_row_stays_with_its_user before update of user_id on public.scan_jobs
for each row when (new.user_id is distinct from old.user_id) execute function interlock.user_is_fixed();
