-- Roles of a hosted Supabase project, once for the whole server.
-- Run as supabase_admin, the only superuser, before any database is set up.
-- The starter sets the passwords of those that sign in.

create role anon nologin noinherit;
create role authenticated nologin noinherit;
create role service_role nologin noinherit bypassrls;

-- PostgREST signs in as authenticator and becomes one of the three; its limits hold for all of them.
create role authenticator login noinherit;
grant anon, authenticated, service_role to authenticator;
alter role authenticator set statement_timeout = '8s';
alter role authenticator set lock_timeout = '8s';

-- The role of migrations and of the SQL editor: powerful, and not a superuser.
create role postgres login createdb createrole replication bypassrls;
grant anon, authenticated, service_role, authenticator to postgres with admin option;
grant pg_monitor, pg_read_all_data, pg_signal_backend to postgres with admin option;
alter role postgres set search_path = "$user", public, extensions;
alter database postgres owner to postgres;

-- What @supabase/lite signs in as: authenticator and supabase_auth_admin in one.
-- On its first request lite grants everything on every table to every API role. Done by a superuser, that would
-- hide each grant that a migration forgot and undo each that it revoked. This role may see every table and pass
-- on nothing, so lite's grants end in warnings and the local API refuses what the hosted one refuses.
create role supabase_lite login;
grant anon, authenticated, service_role to supabase_lite with inherit false;
grant pg_read_all_data, pg_write_all_data to supabase_lite;
alter role supabase_lite set search_path = "$user", public, extensions;
alter role supabase_lite set statement_timeout = '8s';
alter role supabase_lite set lock_timeout = '8s';
-- lite makes schema auth and the table of applied migrations; migrations refer to the one, the CLI to the other.
grant supabase_lite to postgres;
