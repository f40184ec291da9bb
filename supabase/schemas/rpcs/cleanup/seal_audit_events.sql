create function public.seal_audit_events(p_limit integer default 1000) returns jsonb
language plpgsql volatile security definer set search_path = '' set timezone = 'UTC'
as $$
declare
    v_now timestamptz;
    v_event public.audit_events;
    v_head text;
    v_sequence bigint;
    v_sealed bigint := 0;
begin
    if p_limit is null or p_limit not between 1 and 10000 then
        raise sqlstate 'PT400' using message = 'INVALID_SEALING', detail = 'A run seals 1 to 10000 events.';
    end if;
    perform pg_advisory_xact_lock(interlock.lock_class('seal'), 0);
    v_now := interlock.clock();
    select seal.sequence, seal.seal into v_sequence, v_head
    from public.audit_seals as seal
    order by seal.sequence desc
    limit 1;
    v_sequence := coalesce(v_sequence, 0);
    v_head := coalesce(v_head, repeat('0', 64));
    for v_event in
        select event.*
        from interlock.unsealed_events as waiting
        join public.audit_events as event on event.id = waiting.event_id
        order by waiting.at, waiting.event_id
        limit p_limit
    loop
        v_sequence := v_sequence + 1;
        insert into public.audit_seals (sequence, event_id, previous_seal, seal, sealed_at)
        values (v_sequence, v_event.id, v_head, interlock.event_seal(v_head, v_event), v_now)
        returning seal into v_head;
        delete from interlock.unsealed_events where event_id = v_event.id;
        v_sealed := v_sealed + 1;
    end loop;
    return jsonb_build_object('sealed', v_sealed::text, 'sequence', v_sequence::text, 'head', v_head);
end
$$;
comment on function public.seal_audit_events(integer) is
    'Seals events that no seal holds yet and answers the head of the chain, which cleanup writes to its '
    'log: another trust domain.';
