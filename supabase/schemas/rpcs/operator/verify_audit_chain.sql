create function public.verify_audit_chain(p_from bigint default 1, p_expected_head text default null, p_limit integer default 10000)
returns jsonb
language plpgsql stable security definer set search_path = '' set timezone = 'UTC'
as $$
declare
    v_seal record;
    v_previous text;
    v_next bigint := p_from;
    v_bad text;
    v_event public.audit_events;
    v_since timestamptz;
    v_until timestamptz;
    v_more boolean;
    v_stray uuid;
begin
    if p_from is null or p_from < 1 or p_limit is null or p_limit not between 1 and 100000 then
        raise sqlstate 'PT400' using message = 'INVALID_VERIFICATION', detail = 'A verification starts at 1 or later and covers 1 to 100000 seals.';
    end if;
    select seal.seal, event.at into v_previous, v_since
    from public.audit_seals as seal
    left join public.audit_events as event on event.id = seal.event_id
    where seal.sequence = p_from - 1;
    if p_from > 1 and not found then
        v_bad := format('seal %s is missing', p_from - 1);
    end if;
    v_previous := coalesce(v_previous, repeat('0', 64));
    for v_seal in
        select seal.* from public.audit_seals as seal where seal.sequence >= p_from order by seal.sequence limit p_limit
    loop
        exit when v_bad is not null;
        select * into v_event from public.audit_events as event where event.id = v_seal.event_id;
        v_bad := case
            when v_seal.sequence <> v_next then format('seal %s is missing', v_next)
            when v_event.id is null then format('the event of seal %s is missing', v_seal.sequence)
            when v_seal.previous_seal <> v_previous then format('seal %s does not follow the one before it', v_seal.sequence)
            when v_seal.seal <> interlock.event_seal(v_previous, v_event) then format('the event of seal %s was changed', v_seal.sequence)
        end;
        v_previous := v_seal.seal;
        v_next := v_next + 1;
        v_until := v_event.at;
    end loop;
    v_more := coalesce((select max(seal.sequence) from public.audit_seals as seal) >= v_next, false);
    if v_bad is null and p_expected_head is not null
        and not exists (select from public.audit_seals as seal where seal.seal = p_expected_head) then
        v_bad := 'the expected head is not in the chain: its tail was cut off';
    end if;
    -- Pieces that follow each other cover all time: each looks at the events between its own last one and that of the
    -- piece before it. Sub-selects that answer a value are looked up event by event, however many seals there are.
    if v_bad is null then
        select event.id into v_stray
        from public.audit_events as event
        where event.at between coalesce(v_since, '-infinity') and case when v_more then v_until else 'infinity' end
            and (select seal.sequence from public.audit_seals as seal where seal.event_id = event.id) is null
            and (select waiting.at from interlock.unsealed_events as waiting where waiting.event_id = event.id) is null
        order by event.at
        limit 1;
        if found then
            v_bad := format('event %s has no seal and waits for none', v_stray);
        end if;
    end if;
    if v_bad is null and not v_more and exists (
        select
        from interlock.unsealed_events as waiting
        where not exists (select from public.audit_events as event where event.id = waiting.event_id)
    ) then
        v_bad := 'an event that waited for its seal is missing';
    end if;
    return jsonb_build_object(
        'whole', v_bad is null, 'error', v_bad, 'verified_to', (v_next - 1)::text, 'head', v_previous,
        'more', v_more
    );
end
$$;
comment on function public.verify_audit_chain(bigint, text, integer) is
    'Walks the chain from a seal on, in pieces: finds a changed event, a missing one, one that was '
    'slipped in past the chain, and, given a head from the log, a cut tail.';
