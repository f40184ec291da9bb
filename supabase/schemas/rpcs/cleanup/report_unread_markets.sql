create function public.report_unread_markets(p_unread jsonb) returns jsonb
language plpgsql volatile security definer set search_path = '' set timezone = 'UTC'
as $$
declare
    c_told_anew constant interval := '6 hours';
    v_now timestamptz := interlock.clock();
    v_mark interlock.market_marks;
    v_told jsonb := '[]';
    v_named_told boolean;
begin
    if jsonb_typeof(p_unread) is distinct from 'object' or exists (
        select from jsonb_each(p_unread) as item
        where jsonb_typeof(item.value) <> 'string' or item.value #>> '{}' not in ('REFUSED', 'UNREADABLE', 'BLIND')
    ) then
        raise sqlstate 'PT400' using
            message = 'INVALID_REPORT', detail = 'A report says of each market whether it was REFUSED, UNREADABLE or BLIND.';
    end if;
    perform interlock.act_as('cleanup');
    v_named_told := exists (
        select from public.audit_events as event
        where event.event = 'MARKET_UNREAD' and event.at > v_now - c_told_anew and event.detail -> 'holds_back' = 'false'
    );
    for v_mark in
        with reported as (
            update interlock.market_marks as mark
            set unread = item.value
            from jsonb_each_text(p_unread) as item
            where mark.market = item.key
            returning mark.*
        )
        select reported.* from reported order by reported.traded desc, reported.market
    loop
        -- Of what only owners name, one report in that time is told: they could name something else every minute.
        continue when case
            when interlock.holds_back(v_mark) then exists (
                select from public.audit_events as event
                where event.event = 'MARKET_UNREAD' and event.at > v_now - c_told_anew
                    and event.detail ->> 'market' = v_mark.market
            )
            else v_named_told
        end;
        perform interlock.write_audit('MARKET_UNREAD', null, null, null, jsonb_build_object(
            'market', v_mark.market, 'why', v_mark.unread, 'holds_back', interlock.holds_back(v_mark)));
        v_told := v_told || jsonb_build_object(
            'market', v_mark.market, 'why', v_mark.unread, 'holds_back', interlock.holds_back(v_mark));
    end loop;
    return jsonb_build_object('told', v_told);
end
$$;
comment on function public.report_unread_markets(jsonb) is
    'What a run set out to read and could not, and why. told are those of which a person should hear now: '
    'each once in 6 hours, and of those that hold nothing back, what one report names. They are in the '
    'audit as MARKET_UNREAD.';
