create function interlock.holds_a_gate() returns boolean
language sql volatile set search_path = ''
as $$
    select exists (
        select
        from pg_catalog.pg_locks as held
        where held.locktype = 'advisory'
            and held.pid = pg_backend_pid()
            and held.granted
            and held.mode = 'ExclusiveLock'
            and held.objsubid = 2
            and held.classid::bigint in (interlock.lock_class('global gate'), interlock.lock_class('user gate'))
    )
$$;
comment on function interlock.holds_a_gate() is
    'Does this transaction hold the global gate or a user''s gate exclusively? Read from pg_locks, so no '
    'setting can pretend it.';
