-- Purpose: what an earlier rollback put aside comes back. A project that was never rolled back stays as it is.
-- Objects: the rows of schema interlock_archive, which supabase/rollback/ made and which is gone afterwards.
-- Triggers are off meanwhile: these rows have been through them once. It comes after every migration that adds a column,
-- and before the grants: nothing can be called, and so nothing halted or sealed, until all is back.

set local lock_timeout = '5s';
set local statement_timeout = '10min';
set local timezone = 'UTC';

create function pg_temp.columns_to_restore(p_table text, p_archive text, p_left_out text[] default '{}') returns text[]
language plpgsql stable set search_path = ''
as $$
declare
    v_columns text[];
    v_lost text;
begin
    select
        array_agg(quote_ident(kept.attname) order by kept.attnum) filter (where here.attgenerated = ''),
        string_agg(kept.attname, ', ' order by kept.attnum) filter (where here.attname is null)
    into v_columns, v_lost
    from pg_catalog.pg_attribute as kept
    left join pg_catalog.pg_attribute as here
        on here.attrelid = p_table::regclass and here.attname = kept.attname and not here.attisdropped
    where kept.attrelid = p_archive::regclass
        and kept.attnum > 0
        and not kept.attisdropped
        and kept.attname not in ('left_as', 'untouched')
        and kept.attname <> all (p_left_out);
    if v_lost is not null then
        raise exception using
            errcode = 'undefined_column',
            message = format('%s has no column for what the archive keeps: %s', p_table, v_lost),
            hint = 'The restoring migration must come after the one that adds the column: rename it.';
    end if;
    return v_columns;
end
$$;

do $$
declare
    -- Phase 1 has these two, and may have written them since.
    c_shared constant text[] := array['scan_jobs', 'trade_proposals'];
    -- Those that others refer to come first.
    c_moved constant text[] := array[
        'public.trading_controls', 'public.trading_owners', 'public.trading_policies', 'public.trade_executions',
        'public.trade_history', 'public.gpt_usage_log', 'public.audit_events', 'public.audit_seals', 'public.trade_refusals',
        'interlock.unsealed_events', 'interlock.market_marks', 'interlock.absence_rounds', 'interlock.notices'
    ];
    v_table text;
    v_archive text;
    v_columns text[];
begin
    -- GUARD: nothing was put aside.
    if to_regnamespace('interlock_archive') is null then
        return;
    end if;

    foreach v_table in array c_shared loop
        execute format('alter table public.%I disable trigger user', v_table);
        -- Is a row as the rollback left it? The upgrade has just kept each, whatever it is now, in its column legacy.
        execute format('alter table interlock_archive.%I add column untouched boolean not null default false', v_table);
        execute format(
            'update interlock_archive.%1$I as kept
            set untouched = true
            from public.%1$I as here
            where here.id = kept.id and not exists (
                select from jsonb_each(kept.left_as) as field where here.legacy -> field.key is distinct from field.value
            )',
            v_table
        );
    end loop;

    -- What the upgrade has just made gives way to what was kept: the first row of the controls; the policy that it took
    -- from a job, unless the owner has no other and phase 1 wrote the job; the enabling of another job of the owner.
    alter table public.trading_controls disable trigger user;
    alter table public.trading_policies disable trigger user;
    delete from public.trading_controls where singleton;
    delete from public.trading_policies as policy
    where exists (select from interlock_archive.trading_policies as kept where kept.user_id = policy.user_id)
        or not exists (
            select
            from public.scan_jobs as job
            left join interlock_archive.scan_jobs as kept on kept.id = job.id
            where job.user_id = policy.user_id and kept.untouched is not true
        );
    update public.scan_jobs as job
    set enabled = false, last_error = 'an owner has one enabled job; another one of this owner is enabled'
    where job.enabled and exists (
        select from interlock_archive.scan_jobs as kept
        where kept.user_id = job.user_id and kept.id <> job.id and kept.untouched and kept.enabled
    );

    foreach v_table in array c_moved loop
        v_archive := 'interlock_archive.' || split_part(v_table, '.', 2);
        v_columns := pg_temp.columns_to_restore(v_table, v_archive);
        execute format('alter table %s disable trigger user', v_table);
        execute format(
            'insert into %1$s (%2$s) select %2$s from %3$s', v_table, array_to_string(v_columns, ', '), v_archive
        );
        execute format('alter table %s enable trigger user', v_table);
    end loop;

    foreach v_table in array c_shared loop
        v_columns := pg_temp.columns_to_restore('public.' || v_table, 'interlock_archive.' || v_table);
        execute format(
            'update public.%1$I as here set (%2$s) = row(kept.%3$s)
            from interlock_archive.%1$I as kept
            where kept.id = here.id and kept.untouched',
            v_table, array_to_string(v_columns, ', '), array_to_string(v_columns, ', kept.')
        );
    end loop;

    -- A proposal that phase 1 wrote since is a phase-1 row, beside what phase 1 has no column for.
    v_columns := pg_temp.columns_to_restore('public.trade_proposals', 'interlock_archive.trade_proposals',
        '{id,user_id,scan_job_id,side,amount,confidence,rationale,status,expires_at,created_at,legacy}');
    execute format(
        'update public.trade_proposals as here set (%1$s) = row(kept.%2$s)
        from interlock_archive.trade_proposals as kept
        where kept.id = here.id and not kept.untouched
            and not exists (select from public.trade_executions as execution where execution.proposal_id = here.id)',
        array_to_string(v_columns, ', '), array_to_string(v_columns, ', kept.')
    );
    -- With an execution it is what was approved; what phase 1 made of it stays in legacy.
    v_columns := pg_temp.columns_to_restore('public.trade_proposals', 'interlock_archive.trade_proposals', '{legacy}');
    execute format(
        'update public.trade_proposals as here set (%1$s) = row(kept.%2$s)
        from interlock_archive.trade_proposals as kept
        where kept.id = here.id and not kept.untouched
            and exists (select from public.trade_executions as execution where execution.proposal_id = here.id)',
        array_to_string(v_columns, ', '), array_to_string(v_columns, ', kept.')
    );

    alter table public.scan_jobs enable trigger user;
    alter table public.trade_proposals enable trigger user;
    drop table
        interlock_archive.trade_refusals, interlock_archive.audit_seals, interlock_archive.audit_events,
        interlock_archive.absence_rounds, interlock_archive.notices, interlock_archive.unsealed_events,
        interlock_archive.market_marks, interlock_archive.trade_history,
        interlock_archive.gpt_usage_log, interlock_archive.trade_executions, interlock_archive.trade_proposals,
        interlock_archive.scan_jobs, interlock_archive.trading_policies, interlock_archive.trading_owners,
        interlock_archive.trading_controls;
    drop schema interlock_archive;
end
$$;
-- squawk-ignore ban-drop-function -- made above, seen by this session alone
drop function pg_temp.columns_to_restore;
