create schema interlock;

comment on schema interlock is
    'Internals of Interlock: rules, locks and marks. No API exposes this schema.';

revoke all on schema interlock from public;

-- Nothing is executable or readable unless a migration says so.
alter default privileges revoke execute on functions from public;

alter default privileges in schema public revoke execute on functions from anon, authenticated, service_role;

create schema if not exists extensions;

create extension if not exists "uuid-ossp" with schema extensions;
