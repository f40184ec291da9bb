-- What @supabase/lite needs in the database that it serves, where it makes its own tables in schema auth.
-- Run as supabase_admin after database.sql. (Other databases get auth.sql instead.)

grant create on database postgres to supabase_lite;

create schema auth authorization supabase_lite;
-- Policies call auth.uid() as the API roles. Row-level security stays off in here: lite owns these tables, and
-- on tables that it owns its grants to the API roles would take effect.
grant usage on schema auth to anon, authenticated, service_role;

-- A hosted project tells PostgREST of every change to the schema. lite listens for the same message.
create function extensions.pgrst_ddl_watch() returns event_trigger language plpgsql as $$
begin
    if exists (
        select from pg_event_trigger_ddl_commands() as command
        where command.schema_name is distinct from 'pg_temp'
    ) then
        notify pgrst, 'reload schema';
    end if;
end
$$;

create function extensions.pgrst_drop_watch() returns event_trigger language plpgsql as $$
begin
    if exists (
        select from pg_event_trigger_dropped_objects() as dropped
        where not dropped.is_temporary
    ) then
        notify pgrst, 'reload schema';
    end if;
end
$$;

create event trigger pgrst_ddl_watch on ddl_command_end execute function extensions.pgrst_ddl_watch();
create event trigger pgrst_drop_watch on sql_drop execute function extensions.pgrst_drop_watch();
