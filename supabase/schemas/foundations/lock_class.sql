-- Advisory locks are (class, key) pairs, so that one look at pg_locks says what is held.
create function interlock.lock_class(p_kind text) returns integer
language sql immutable strict parallel safe set search_path = ''
as $$
    select case p_kind
        when 'global gate' then 1229867591
        when 'user gate' then 1229867592
        when 'user claims' then 1229867593
        when 'account claims' then 1229867594
        when 'user budget' then 1229867595
        when 'account budget' then 1229867596
        when 'seal' then 1229867597
        when 'stale comparison' then 1229867598
    end
$$;
comment on function interlock.lock_class(text) is
    'First key of each advisory lock: the halt gates (shared by claims, exclusive for halts), the claim '
    'locks, the model budget locks, the seal lock and the lock of the event that nothing is compared.';
