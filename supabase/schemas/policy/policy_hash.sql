create function interlock.policy_hash(p_policy jsonb) returns text
language sql immutable strict parallel safe set search_path = ''
as $$
    select interlock.digest(p_policy::text)
$$;
comment on function interlock.policy_hash(jsonb) is
    'The identity of a policy: SHA-256 over its jsonb text, in which keys have one order and no spacing '
    'varies.';
