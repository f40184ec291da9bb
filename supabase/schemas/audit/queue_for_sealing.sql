create function interlock.queue_for_sealing() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
    insert into interlock.unsealed_events (event_id, at) values (new.id, new.at);
    return null;
end
$$;
comment on function interlock.queue_for_sealing() is
    'Trigger: a new event waits for its seal. Definer: no role but the owner writes the queue.';

create trigger a_new_event_waits_for_its_seal after insert on public.audit_events
for each row execute function interlock.queue_for_sealing();
