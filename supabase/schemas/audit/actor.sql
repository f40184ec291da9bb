-- In plpgsql, as write_audit is: a function in SQL is planned anew in every call.
create function interlock.actor() returns text
language plpgsql stable set search_path = ''
as $$
begin
    return coalesce(
        nullif(current_setting('interlock.actor', true), ''),
        nullif(current_setting('role', true), 'none'),
        session_user::text
    );
end
$$;
comment on function interlock.actor() is
    'Who acts: set by each RPC for its transaction; the database role for a direct edit.';
