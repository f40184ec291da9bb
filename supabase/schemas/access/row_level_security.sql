grant usage on schema public to anon, authenticated, service_role;

do $$
declare
    v_table text;
begin
    foreach v_table in array array[
        'trading_controls', 'trading_owners', 'trading_policies', 'scan_jobs', 'trade_proposals',
        'trade_executions', 'trade_history', 'trade_refusals', 'gpt_usage_log', 'audit_events', 'audit_seals'
    ] loop
        execute format('alter table public.%I enable row level security', v_table);
        execute format('revoke all on table public.%I from anon, authenticated, service_role', v_table);
        execute format('grant select on table public.%I to service_role', v_table);
        if v_table not in ('trading_controls', 'trading_owners', 'audit_seals') then
            execute format('grant select on table public.%I to authenticated', v_table);
            execute format(
                'create policy owners_read_their_own on public.%I for select to authenticated using ('
                'user_id = (select auth.uid())'
                ' and (select exists (select from public.trading_owners as owner where owner.user_id = (select auth.uid()))))',
                v_table
            );
        end if;
    end loop;
end
$$;

grant select on table public.trading_owners to authenticated;

create policy owners_read_their_own on public.trading_owners for select to authenticated
using (user_id = (select auth.uid()));

create policy the_secret_key_alone_reads on public.audit_seals for select to service_role using (true);

grant select (trading_state, mode) on table public.trading_controls to authenticated;

create policy owners_read_state_and_mode on public.trading_controls for select to authenticated
using (exists (select from public.trading_owners as owner where owner.user_id = (select auth.uid())));

grant insert, update, delete on table public.trading_owners to service_role;
