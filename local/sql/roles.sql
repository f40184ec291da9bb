-- Roles of a hosted Supabase project, once for the whole server.
-- Run as supabase_admin, the only superuser, before any database is set up.
-- Passwords are set by the starter; roles without one cannot sign in.

create role anon nologin noinherit;
create role authenticated nologin noinherit;
create role service_role nologin noinherit bypassrls;

-- PostgREST signs in as authenticator and becomes one of the three; its limits hold for all of them.
create role authenticator login noinherit;
grant anon, authenticated, service_role to authenticator;
alter role authenticator set statement_timeout = '8s';
alter role authenticator set lock_timeout = '8s';
alter role anon set statement_timeout = '3s';
alter role authenticated set statement_timeout = '8s';

-- The role of migrations and of the SQL editor: powerful, and not a superuser.
create role postgres login createdb createrole replication bypassrls;
grant anon, authenticated, service_role, authenticator to postgres with admin option;
grant pg_monitor, pg_read_all_data, pg_signal_backend to postgres with admin option;
alter role postgres set search_path = "$user", public, extensions;

-- What @supabase/lite signs in as: authenticator and supabase_auth_admin in one.
-- On its first request lite grants everything on every table to every API role. As a superuser that would
-- hide each grant that a migration forgot. This role may see every table and pass on nothing, so those
-- grants end in a warning and the local API refuses what the hosted one refuses.
create role supabase_lite login;
-- lite makes auth and the table of applied migrations; both are for migrations to use.
grant supabase_lite to postgres;
grant anon, authenticated, service_role to supabase_lite with inherit false;
grant pg_read_all_data, pg_write_all_data to supabase_lite;
alter role supabase_lite set statement_timeout = '8s';
alter role supabase_lite set lock_timeout = '8s';
