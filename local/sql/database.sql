-- A database as a hosted project has it before its first migration.
-- Run as supabase_admin in the database itself. New tables get no API grants: a migration carries its own.

create schema extensions;
create extension "uuid-ossp" with schema extensions;
create extension pgcrypto with schema extensions;

grant usage on schema extensions to anon, authenticated, service_role;
grant usage, create on schema extensions to postgres;
grant usage on schema public to anon, authenticated, service_role;
grant usage, create on schema public to postgres;

-- Many hosted projects still grant functions to the API roles by name, beside the grant to public that Postgres
-- makes: a migration has to revoke both.
alter default privileges for role postgres in schema public
    grant execute on functions to anon, authenticated, service_role;
