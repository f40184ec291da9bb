create function interlock.notice_change() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
    case tg_table_name
        when 'trading_controls' then
            if new.trading_state <> 'HALTED' then
                delete from interlock.notices where notice = 'HALTED everybody';
            elsif old.trading_state <> 'HALTED' or new.reason <> old.reason then
                perform interlock.give_notice('HALTED', 'everybody',
                    jsonb_build_object('actor', interlock.actor(), 'reason', new.reason));
            end if;
        when 'trading_policies' then
            if tg_op = 'DELETE' then
                delete from interlock.notices where notice = 'HALTED ' || old.user_id::text;
            elsif new.trading_state <> 'HALTED' then
                delete from interlock.notices where notice = 'HALTED ' || new.user_id::text;
            elsif old.trading_state <> 'HALTED' or new.state_reason <> old.state_reason then
                perform interlock.give_notice('HALTED', new.user_id::text,
                    jsonb_build_object('actor', interlock.actor(), 'reason', new.state_reason, 'user_id', new.user_id));
            end if;
        when 'trade_executions' then
            if new.filled_amount > 0 and not interlock.is_unsettled(new.status)
                and (old.filled_amount = 0 or interlock.is_unsettled(old.status)) then
                perform interlock.give_notice('FILLED', new.id::text, '{}');
            elsif old.status = 'UNKNOWN' and new.status <> 'UNKNOWN' then
                perform interlock.give_notice('SETTLED', new.id::text, '{}');
            end if;
        when 'scan_jobs' then
            if old.enabled and not new.enabled and new.consecutive_failures > old.consecutive_failures then
                perform interlock.give_notice('SCAN_STOPPED', new.id::text,
                    jsonb_build_object('user_id', new.user_id, 'reason', new.last_error));
            end if;
    end case;
    return null;
end
$$;
comment on function interlock.notice_change() is
    'Trigger: what a person has to be told of a change, whoever makes it. Definer: no role but the owner '
    'writes the notices.';

create trigger y_notice after update of trading_state, reason on public.trading_controls
for each row execute function interlock.notice_change();

create trigger y_notice after update of trading_state, state_reason or delete on public.trading_policies
for each row execute function interlock.notice_change();

create trigger y_notice after update of status, filled_amount on public.trade_executions
for each row execute function interlock.notice_change();

create trigger y_notice after update of enabled on public.scan_jobs
for each row execute function interlock.notice_change();
