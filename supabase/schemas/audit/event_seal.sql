-- Seals

create function interlock.event_seal(p_previous text, p_event public.audit_events) returns text
language sql stable set search_path = '' set timezone = 'UTC'
as $$
    select interlock.digest(p_previous || to_jsonb(p_event)::text)
$$;
comment on function interlock.event_seal(text, public.audit_events) is
    'The seal of an event: SHA-256 over the previous seal and the event as jsonb text, in UTC.';
