create table interlock.unsealed_events (
    event_id uuid primary key,
    at timestamptz not null
);

-- A sealing run reads the front of the queue, however long it has grown.
create index unsealed_events_in_order on interlock.unsealed_events (at, event_id);

comment on table interlock.unsealed_events is
    'Events that no seal holds yet; a sealing run takes them from here.';
comment on column interlock.unsealed_events.event_id is 'The event.';
comment on column interlock.unsealed_events.at is 'When the event happened; events are sealed in this order.';

alter table interlock.unsealed_events enable row level security;
create policy nobody_reads on interlock.unsealed_events for select to service_role using (false);
