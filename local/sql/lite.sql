-- What @supabase/lite needs in the database that it serves, where it makes its own tables in schema auth.
-- Run as supabase_admin after database.sql. (Other databases get auth.sql instead.)

grant create on database postgres to supabase_lite;

create schema auth authorization supabase_lite;
-- Policies call auth.uid() as the API roles. Row-level security stays off in here: lite owns these tables, and
-- on tables that it owns its grants to the API roles would take effect.
grant usage on schema auth to anon, authenticated, service_role;
