-- Purpose: what every later migration stands on.
-- Objects: schema interlock; interlock.taken_from_phase_1, clock, execution_id, digest, row_json, as_uuid, as_decimal, broken_rule, lock classes, never.

set local lock_timeout = '5s';
set local statement_timeout = '60s';

create schema interlock;
comment on schema interlock is
    'Internals of Interlock: rules, locks and marks. No API exposes this schema.';
revoke all on schema interlock from public;

create table interlock.taken_from_phase_1 (
    statement text primary key
);
alter table interlock.taken_from_phase_1 enable row level security;
create policy nobody_reads on interlock.taken_from_phase_1 for select to service_role using (false);
comment on table interlock.taken_from_phase_1 is
    'What the upgrade takes from a project that had phase 1: default privileges, grants and policies. supabase/rollback/ gives it back.';
comment on column interlock.taken_from_phase_1.statement is 'The statement that gives it back.';

insert into interlock.taken_from_phase_1 (statement)
select 'alter default privileges grant execute on functions to public'
where not exists (
    select from pg_catalog.pg_default_acl as stored
    where pg_get_userbyid(stored.defaclrole) = current_user and stored.defaclnamespace = 0 and stored.defaclobjtype = 'f'
)
union all
select format('alter default privileges in schema public grant execute on functions to %I', pg_get_userbyid(granted.grantee))
from pg_catalog.pg_default_acl as stored
cross join lateral aclexplode(stored.defaclacl) as granted
where pg_get_userbyid(stored.defaclrole) = current_user
    and stored.defaclnamespace = 'public'::regnamespace
    and stored.defaclobjtype = 'f'
    and pg_get_userbyid(granted.grantee) in ('anon', 'authenticated', 'service_role');

-- Nothing is executable or readable unless a migration says so.
alter default privileges revoke execute on functions from public;
alter default privileges in schema public revoke execute on functions from anon, authenticated, service_role;

create schema if not exists extensions;
create extension if not exists "uuid-ossp" with schema extensions;

create function interlock.clock() returns timestamptz
language sql volatile set search_path = ''
as 'select clock_timestamp()';
comment on function interlock.clock() is
    'The only clock that any SQL of Interlock reads. Read once in a call, after its last lock. Tests replace this one function.';

create function interlock.execution_id(p_proposal_id uuid) returns uuid
language sql immutable strict parallel safe set search_path = ''
as $$
    select extensions.uuid_generate_v5('7f0c1d8e-5a3b-5c1e-9a64-1b2f3c4d5e6f'::uuid, p_proposal_id::text)
$$;
comment on function interlock.execution_id(uuid) is
    'The id of a proposal''s one execution, which is also its clientOrderId at the exchange: uuid v5 of the proposal id as lower-case text. Anyone can compute it, even if the row were lost.';

create function interlock.digest(p_text text) returns text
language sql immutable strict parallel safe set search_path = ''
as $$
    select encode(sha256(convert_to(p_text, 'UTF8')), 'hex')
$$;
comment on function interlock.digest(text) is 'SHA-256 of a text in UTF-8, as 64 hex digits.';

create function interlock.row_json(p_row jsonb) returns jsonb
language sql immutable strict parallel safe set search_path = ''
as $$
    select coalesce(
        jsonb_object_agg(
            field.key,
            case jsonb_typeof(field.value) when 'number' then to_jsonb(field.value #>> '{}') else field.value end
        ),
        '{}'
    )
    from jsonb_each(p_row) as field
$$;
comment on function interlock.row_json(jsonb) is
    'A row for an answer: its numbers as text, so that no reader passes money or a 64-bit integer through a float. Documents stored in a column stay as they are.';

create function interlock.as_uuid(p_text text) returns uuid
language sql immutable strict parallel safe set search_path = ''
as $$
    select case when p_text ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then p_text::uuid end
$$;
comment on function interlock.as_uuid(text) is 'A text as a uuid, or null when it is none.';

create function interlock.as_decimal(p_text text) returns numeric
language sql immutable strict parallel safe set search_path = ''
as $$
    select case when p_text ~ '^-?[0-9]{1,20}(\.[0-9]{1,30})?$' then p_text::numeric end
$$;
comment on function interlock.as_decimal(text) is
    'A text as a number, or null when it is no plain decimal: no exponent, no NaN, nothing infinite.';

create function interlock.broken_rule(p_constraint text, p_column text, p_message text) returns text
language sql immutable parallel safe set search_path = ''
as $$
    select case
        when p_constraint <> '' then format('It breaks the rule "%s".', replace(p_constraint, '_', ' '))
        when p_column <> '' then format('%s must not be empty.', p_column)
        else upper(left(p_message, 1)) || substr(p_message, 2, 300) || '.'
    end
$$;
comment on function interlock.broken_rule(text, text, text) is
    'The sentence for a row that its table refused: the constraint by its name, which is a rule, or the column that was empty.';

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
    'First key of each advisory lock: the halt gates (shared by claims, exclusive for halts), the claim locks, the model budget locks, the seal lock and the lock of the event that nothing is compared.';

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
    'Does this transaction hold the global gate or a user''s gate exclusively? Read from pg_locks, so no setting can pretend it.';

create function interlock.never() returns trigger
language plpgsql set search_path = ''
as $$
begin
    raise exception using
        errcode = 'restrict_violation',
        message = format('%s of %I.%I is refused: its rows are evidence and are kept', tg_op, tg_table_schema, tg_table_name),
        hint = 'Evidence is moved to schema interlock_archive by supabase/rollback/, never dropped.';
end
$$;
comment on function interlock.never() is 'Trigger: the operation is refused for every role.';
