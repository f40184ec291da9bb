-- Purpose: scheduled scans and the proposals they write; a phase-1 project keeps every row.
-- Objects: public.scan_jobs, trade_proposals.
-- A phase-1 row is kept whole in its column `legacy`, is never PENDING or enabled unless valid, and is exempt from the new rules.

set local lock_timeout = '5s';
set local statement_timeout = '60s';
-- Instants in `legacy` are written in one time zone, whatever the session's is.
set local timezone = 'UTC';

-- Phase 1's grants and policies would let more people in than phase 2 does.
do $$
declare
    v_policy record;
    v_search_path text := current_setting('search_path');
begin
    -- Without a path every name in an expression is written with its schema.
    perform set_config('search_path', '', true);
    for v_policy in
        select
            policy.polname as name,
            relation.oid::regclass as place,
            format(
                'create policy %I on %s as %s for %s to %s%s%s',
                policy.polname,
                relation.oid::regclass,
                case when policy.polpermissive then 'permissive' else 'restrictive' end,
                case policy.polcmd
                    when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' else 'all'
                end,
                (
                    select string_agg(coalesce(quote_ident(pg_get_userbyid(nullif(role.oid, 0))), 'public'), ', ')
                    from unnest(policy.polroles) as role (oid)
                ),
                ' using (' || pg_get_expr(policy.polqual, relation.oid) || ')',
                ' with check (' || pg_get_expr(policy.polwithcheck, relation.oid) || ')'
            ) as statement
        from pg_catalog.pg_policy as policy
        join pg_catalog.pg_class as relation on relation.oid = policy.polrelid
        where relation.oid in (to_regclass('public.scan_jobs'), to_regclass('public.trade_proposals'))
    loop
        insert into interlock.taken_from_phase_1 (statement) values (v_policy.statement);
        execute format('drop policy %I on %s', v_policy.name, v_policy.place);
    end loop;
    perform set_config('search_path', v_search_path, true);

    insert into interlock.taken_from_phase_1 (statement)
    select format('alter table public.%I disable row level security', relation.relname)
    from pg_catalog.pg_class as relation
    where relation.oid in (to_regclass('public.scan_jobs'), to_regclass('public.trade_proposals'))
        and not relation.relrowsecurity;

    insert into interlock.taken_from_phase_1 (statement)
    select format(
        'grant %s%s on table public.%I to %s%s',
        access.privilege_type,
        ' (' || quote_ident(access.field) || ')',
        relation.relname,
        coalesce(quote_ident(pg_get_userbyid(nullif(access.grantee, 0))), 'public'),
        case when access.is_grantable then ' with grant option' end
    )
    from pg_catalog.pg_class as relation
    cross join lateral (
        select granted.*, null::name as field
        from aclexplode(relation.relacl) as granted
        union all
        select granted.*, field.attname
        from pg_catalog.pg_attribute as field
        cross join lateral aclexplode(field.attacl) as granted
        where field.attrelid = relation.oid and not field.attisdropped
    ) as access
    where relation.oid in (to_regclass('public.scan_jobs'), to_regclass('public.trade_proposals'))
        and (access.grantee = 0 or pg_get_userbyid(access.grantee) in ('anon', 'authenticated', 'service_role'));
end
$$;

-- On an empty project phase 1's tables are made first: from here on there is one way up and one schema.
create table if not exists public.scan_jobs (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null,
    policy jsonb,
    status text,
    next_run_at timestamptz,
    last_run_at timestamptz,
    created_at timestamptz not null default interlock.clock()
);
create table if not exists public.trade_proposals (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null,
    scan_job_id uuid references public.scan_jobs (id),
    asset text not null,
    side text not null,
    amount numeric,
    confidence numeric,
    allowlist text[],
    rationale text,
    status text not null default 'PENDING',
    expires_at timestamptz,
    created_at timestamptz not null default interlock.clock()
);
revoke all on table public.scan_jobs, public.trade_proposals from public, anon, authenticated, service_role;

-- scan_jobs

alter table public.scan_jobs add column legacy jsonb;
update public.scan_jobs as job set legacy = to_jsonb(job) - 'legacy' where job.legacy is null;
update public.scan_jobs set next_run_at = interlock.clock() where next_run_at is null;

alter table public.scan_jobs
    add column enabled boolean not null default false,
    add column locked_at timestamptz,
    add column locked_by text,
    add column lock_expires_at timestamptz,
    add column lock_token uuid,
    add column finished_token uuid,
    add column consecutive_failures bigint not null default 0,
    add column last_error text,
    add column last_outcome text,
    alter column next_run_at set default interlock.clock(),
    -- squawk-ignore adding-not-nullable-field -- phase 1 has a job an owner; the scan takes no time
    alter column next_run_at set not null,
    -- squawk-ignore ban-drop-default -- a new job has no phase-1 status
    alter column status drop default,
    alter column created_at set default interlock.clock(),
    add constraint lock_is_whole check (num_nulls(locked_at, locked_by, lock_expires_at) in (0, 3)),
    add constraint token_only_with_a_lock check (lock_token is null or locked_at is not null),
    add constraint worker_name_is_short check (length(locked_by) between 1 and 200),
    add constraint failures_are_a_count check (consecutive_failures >= 0),
    add constraint error_is_short check (length(last_error) <= 1000),
    add constraint outcome_is_short check (length(last_outcome) <= 1000);

-- A policy that parses moves to trading_policies; one that does not leaves its job disabled, saying why.
-- Of several jobs of one owner, the oldest active one that parses is enabled, and its policy is the one that moves.
insert into public.trading_policies (user_id, policy)
select distinct on (job.user_id) job.user_id, interlock.complete_policy(job.legacy -> 'policy')
from public.scan_jobs as job
where interlock.policy_error(interlock.complete_policy(job.legacy -> 'policy')) is null
    and exists (select from auth.users as account where account.id = job.user_id)
order by job.user_id, job.legacy ->> 'status' is distinct from 'active', job.created_at, job.id
on conflict (user_id) do nothing;

with parsed as (
    select
        job.id,
        interlock.policy_error(interlock.complete_policy(job.legacy -> 'policy')) as error,
        job.legacy ->> 'status' = 'active' as was_active,
        exists (select from auth.users as account where account.id = job.user_id) as has_user,
        row_number() over (
            partition by job.user_id
            order by
                interlock.policy_error(interlock.complete_policy(job.legacy -> 'policy')) is not null,
                job.legacy ->> 'status' is distinct from 'active',
                job.created_at,
                job.id
        ) as rank
    from public.scan_jobs as job
    where job.legacy is not null
)
update public.scan_jobs as job
set
    enabled = parsed.error is null and coalesce(parsed.was_active, false) and parsed.has_user and parsed.rank = 1,
    last_error = case
        when parsed.error is not null then left('its policy was not taken over: ' || parsed.error, 1000)
        when not parsed.has_user then 'its user does not exist'
        when not coalesce(parsed.was_active, false) then 'was not active'
        when parsed.rank > 1 then 'an owner has one enabled job; another one of this owner is enabled'
    end
from parsed
where parsed.id = job.id;

-- After the updates: a row written in this transaction would be held to it, and phase 1 has rows of users who are gone.
alter table public.scan_jobs
    add constraint user_exists foreign key (user_id) references auth.users (id) on delete restrict not valid;

create unique index an_owner_has_one_enabled_job on public.scan_jobs (user_id) where enabled;
create index jobs_by_user on public.scan_jobs (user_id, enabled desc, (legacy is not null), created_at);
create index due_jobs on public.scan_jobs (next_run_at, id) where enabled;
create index held_locks on public.scan_jobs (lock_expires_at) where lock_expires_at is not null;

create function interlock.job_begins_anew() returns trigger
language plpgsql set search_path = ''
as $$
begin
    new.consecutive_failures := 0;
    new.last_error := null;
    return new;
end
$$;
comment on function interlock.job_begins_anew() is
    'Trigger: a job that is switched on again, by whomever, has its ten tries again.';

create trigger switched_on_it_begins_anew
before update of enabled on public.scan_jobs
for each row when (new.enabled and not old.enabled) execute function interlock.job_begins_anew();

comment on table public.scan_jobs is
    'One scheduled scan an owner: when it runs next, which worker holds it, and what went wrong last. Made by schedule_scan.';
comment on column public.scan_jobs.id is 'Made here.';
comment on column public.scan_jobs.user_id is 'The owner it scans for.';
comment on column public.scan_jobs.policy is 'The policy as phase 1 had it. Nothing reads it: the one that counts is in trading_policies.';
comment on column public.scan_jobs.status is 'The status as phase 1 had it. Nothing reads it: enabled is what counts.';
comment on column public.scan_jobs.enabled is 'Switched by schedule_scan, or here; off after ten failures in a row. Switched on again, the count begins anew.';
comment on column public.scan_jobs.next_run_at is 'Due from this time on.';
comment on column public.scan_jobs.last_run_at is 'When a scan last finished.';
comment on column public.scan_jobs.locked_at is 'When a worker took the job.';
comment on column public.scan_jobs.locked_by is 'The worker that holds the job.';
comment on column public.scan_jobs.lock_expires_at is 'From this time on any worker may take the job: the one that held it has crashed.';
comment on column public.scan_jobs.lock_token is 'Fresh with every lease; only its holder can finish the job.';
comment on column public.scan_jobs.finished_token is 'The lease that finished last, so that a repeated finish is recognised.';
comment on column public.scan_jobs.consecutive_failures is 'Failures since the last success. Ten disable the job.';
comment on column public.scan_jobs.last_error is 'What went wrong last, or why the job is disabled.';
comment on column public.scan_jobs.last_outcome is 'What the last scan came to: proposed, held, failed, budget_exhausted, outage or policy_changed, and why.';
comment on column public.scan_jobs.legacy is 'The row as phase 1 had it; empty for jobs made since.';
comment on column public.scan_jobs.created_at is 'When the job was made.';

-- trade_proposals

alter table public.trade_proposals add column legacy jsonb;
update public.trade_proposals as proposal set legacy = to_jsonb(proposal) - 'legacy' where proposal.legacy is null;
alter table public.trade_proposals
    -- squawk-ignore ban-drop-column -- kept in legacy; asset comes back below, generated from the market
    drop column asset,
    -- squawk-ignore ban-drop-column -- kept in legacy; the policy's allowlist is the one that counts
    drop column allowlist,
    -- squawk-ignore ban-drop-not-null -- a side that phase 2 refuses is kept in legacy alone
    alter column side drop not null;
update public.trade_proposals
set
    side = case when side in ('buy', 'sell') then side end,
    amount = case when amount > 0 and amount < 'Infinity' then amount end,
    confidence = case when confidence between 0 and 100 then confidence end,
    status = case when status in ('EXECUTED', 'FAILED', 'EXPIRED', 'DECLINED') then status else 'EXPIRED' end
where legacy is not null;

alter table public.trade_proposals
    add column market text,
    -- squawk-ignore adding-field-with-default -- phase 1 is stopped during the upgrade, so a rewrite blocks nobody
    add column asset text generated always as (split_part(market, '-', 1)) stored,
    add column order_type text default 'market',
    add column amount_quote numeric,
    add column limit_price numeric,
    add column reference_price numeric,
    add column override_cooldown boolean not null default false,
    add column override_anti_flip boolean not null default false,
    add column policy_hash text,
    add column policy_snapshot jsonb,
    add column model text,
    add column prompt_version text,
    add column input_hash text,
    add column market_snapshot jsonb,
    add column clamped jsonb,
    alter column created_at set default interlock.clock(),
    alter column status set default 'PENDING',
    add constraint user_exists foreign key (user_id) references auth.users (id) on delete restrict not valid,
    add constraint status_is_known check (
        status in ('PENDING', 'EXECUTING', 'EXECUTED', 'FAILED', 'EXPIRED', 'DECLINED')
    ),
    add constraint phase_1_rows_are_never_pending check (legacy is null or status not in ('PENDING', 'EXECUTING')),
    add constraint market_is_named check (legacy is not null or coalesce(market ~ '^[A-Z0-9]{1,20}-[A-Z0-9]{2,10}$', false)),
    add constraint side_is_known check (legacy is not null or coalesce(side in ('buy', 'sell'), false)),
    add constraint order_type_is_known check (legacy is not null or coalesce(order_type in ('market', 'limit'), false)),
    add constraint a_buy_carries_whole_cents_of_quote check (
        legacy is not null or side <> 'buy'
        or (amount is null and amount_quote is not null and amount_quote > 0 and amount_quote < 'Infinity' and amount_quote = round(amount_quote, 2))
    ),
    add constraint a_sell_carries_an_amount check (
        legacy is not null or side <> 'sell'
        or (amount_quote is null and amount is not null and amount > 0 and amount < 'Infinity')
    ),
    add constraint a_limit_order_alone_has_a_limit_price check (
        legacy is not null
        or (order_type = 'market' and limit_price is null)
        or (order_type = 'limit' and limit_price is not null and limit_price > 0 and limit_price < 'Infinity')
    ),
    add constraint reference_price_is_a_price check (
        legacy is not null or coalesce(reference_price > 0 and reference_price < 'Infinity', false)
    ),
    add constraint confidence_is_0_to_100 check (legacy is not null or coalesce(confidence between 0 and 100, false)),
    add constraint amounts_are_finite check (
        coalesce(amount, 1) < 'Infinity' and coalesce(amount, 1) > '-Infinity'
        and coalesce(amount_quote, 1) < 'Infinity' and coalesce(amount_quote, 1) > '-Infinity'
        and coalesce(limit_price, 1) < 'Infinity' and coalesce(limit_price, 1) > '-Infinity'
        and coalesce(reference_price, 1) < 'Infinity' and coalesce(reference_price, 1) > '-Infinity'
        and coalesce(confidence, 1) < 'Infinity' and coalesce(confidence, 1) > '-Infinity'
    ),
    add constraint rationale_is_short check (legacy is not null or length(rationale) <= 4000),
    add constraint sources_are_short check (
        length(model) <= 200 and length(prompt_version) <= 200 and length(input_hash) <= 200
    ),
    add constraint it_expires_within_a_day check (
        legacy is not null or coalesce(expires_at > created_at and expires_at <= created_at + interval '24 hours', false)
    ),
    add constraint policy_is_kept check (
        legacy is not null or (policy_hash is not null and policy_snapshot is not null)
    );

create function interlock.proposal_takes_policy() returns trigger
language plpgsql security definer set search_path = ''
as $$
declare
    v_policy public.trading_policies;
begin
    if new.legacy is not null then
        return new;
    end if;
    select * into v_policy from public.trading_policies as policy where policy.user_id = new.user_id;
    new.policy_hash := coalesce(new.policy_hash, v_policy.policy_hash);
    new.policy_snapshot := coalesce(new.policy_snapshot, v_policy.policy);
    new.expires_at := coalesce(
        new.expires_at,
        new.created_at + make_interval(mins => (v_policy.policy ->> 'proposal_ttl_minutes')::integer)
    );
    return new;
end
$$;
comment on function interlock.proposal_takes_policy() is
    'Trigger: a new proposal keeps the policy it was made under, and expires as that policy says, unless it brings its own. Definer: whoever inserts may not read policies.';

create trigger a_new_proposal_takes_the_policy
before insert on public.trade_proposals
for each row execute function interlock.proposal_takes_policy();

create function interlock.proposal_is_fixed() returns trigger
language plpgsql set search_path = ''
as $$
declare
    v_free text[] := '{status,override_cooldown,override_anti_flip,asset}';
begin
    if to_jsonb(new) - v_free is distinct from to_jsonb(old) - v_free then
        raise exception using
            errcode = 'restrict_violation',
            message = 'a proposal''s content never changes after it is stored',
            hint = 'Decline it and let a scan write another.';
    end if;
    if new.status is distinct from old.status and not coalesce(
        case old.status
            when 'PENDING' then new.status in ('EXECUTING', 'EXECUTED', 'EXPIRED', 'DECLINED')
            when 'EXECUTING' then new.status in ('EXECUTED', 'FAILED')
            when 'FAILED' then new.status in ('EXECUTING', 'EXECUTED')
        end,
        false
    ) then
        raise exception using
            errcode = 'restrict_violation',
            message = format('a proposal never goes from %s to %s', old.status, new.status);
    end if;
    return new;
end
$$;
comment on function interlock.proposal_is_fixed() is
    'Trigger: a proposal''s content is fixed and its status moves forward only; it never returns to PENDING.';

create trigger content_is_fixed_and_status_moves_forward
before update on public.trade_proposals
for each row execute function interlock.proposal_is_fixed();

-- squawk-ignore require-concurrent-index-deletion -- phase 1 is stopped; proposals_by_user serves what it served
drop index if exists public.trade_proposals_user_id;
create index pending_proposals_by_user on public.trade_proposals (user_id, created_at) where status = 'PENDING';
create index proposals_by_user on public.trade_proposals (user_id, created_at);
create index proposals_to_expire on public.trade_proposals (expires_at) where status = 'PENDING';
create index proposals_by_job on public.trade_proposals (scan_job_id);

comment on table public.trade_proposals is
    'What the language model proposed. The owner approves one (./interlock approve) or declines it; it expires by itself.';
comment on column public.trade_proposals.id is 'Made by the scan; the execution''s id is computed from it.';
comment on column public.trade_proposals.user_id is 'The owner it is for.';
comment on column public.trade_proposals.scan_job_id is 'The job that wrote it.';
comment on column public.trade_proposals.market is 'Such as BTC-EUR.';
comment on column public.trade_proposals.asset is 'The market''s base, such as BTC.';
comment on column public.trade_proposals.side is 'buy or sell.';
comment on column public.trade_proposals.order_type is 'market (sent as limit IOC at the collar''s edge) or limit (sent as limit IOC at its price).';
comment on column public.trade_proposals.amount is 'For a sell: the base amount to sell.';
comment on column public.trade_proposals.amount_quote is 'For a buy: the most EUR to spend, fee included, in whole cents.';
comment on column public.trade_proposals.limit_price is 'For a limit order: its price in EUR.';
comment on column public.trade_proposals.reference_price is 'The price in EUR that the scan read: best ask for a buy, best bid for a sell. The collar is measured from it.';
comment on column public.trade_proposals.confidence is 'The model''s own confidence, 0 to 100.';
comment on column public.trade_proposals.rationale is 'The model''s words in plain spaces and hyphens, or that they were not fit to show: a link, markup, controls. They decide nothing.';
comment on column public.trade_proposals.status is
    'PENDING until it is approved, declined or expired; EXECUTING while its order''s fate is open; EXECUTED; FAILED when no order came of it.';
comment on column public.trade_proposals.expires_at is 'From this time on it cannot be approved.';
comment on column public.trade_proposals.override_cooldown is 'Did the owner override the cooldown when approving?';
comment on column public.trade_proposals.override_anti_flip is 'Did the owner override the anti-flip window when approving?';
comment on column public.trade_proposals.policy_hash is 'Hash of the policy the proposal was made under. It is judged by the policy of the day of approval.';
comment on column public.trade_proposals.policy_snapshot is 'The policy the proposal was made under.';
comment on column public.trade_proposals.model is 'The model that answered.';
comment on column public.trade_proposals.prompt_version is 'The version of the question.';
comment on column public.trade_proposals.input_hash is 'SHA-256 of the exact question that the model saw.';
comment on column public.trade_proposals.market_snapshot is 'The numbers that the model saw.';
comment on column public.trade_proposals.clamped is 'What was reduced to the policy''s limits, from and to; empty when nothing was.';
comment on column public.trade_proposals.legacy is 'The row as phase 1 had it; empty for proposals made since.';
comment on column public.trade_proposals.created_at is 'When it was stored.';

do $$
declare
    v_table regclass;
begin
    foreach v_table in array array['public.scan_jobs', 'public.trade_proposals']::regclass[] loop
        begin
            execute format('alter table %s validate constraint user_exists', v_table);
        exception
            when foreign_key_violation then
                raise notice '% keeps rows of users that no longer exist', v_table;
        end;
    end loop;
end
$$;
