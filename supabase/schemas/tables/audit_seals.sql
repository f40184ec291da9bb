create table public.audit_seals (
    sequence bigint primary key,
    event_id uuid not null unique references public.audit_events (id) on delete restrict,
    previous_seal text not null,
    seal text not null,
    sealed_at timestamptz not null,
    constraint sequence_starts_at_1 check (sequence >= 1),
    constraint seals_are_hashes check (seal ~ '^[0-9a-f]{64}$' and previous_seal ~ '^[0-9a-f]{64}$')
);

comment on table public.audit_seals is
    'A hash chain over the audit events: each seal covers the one before it and one event. '
    'verify_audit_chain finds a changed, missing, cut-off or slipped-in event. Append-only.';
comment on column public.audit_seals.sequence is 'Place in the chain, from 1 without gaps.';
comment on column public.audit_seals.event_id is 'The event that is sealed.';
comment on column public.audit_seals.previous_seal is 'The seal before it.';
comment on column public.audit_seals.seal is 'SHA-256 over the previous seal and the event.';
comment on column public.audit_seals.sealed_at is 'When it was sealed.';

create trigger rows_are_never_changed before update or delete on public.audit_seals
for each row execute function interlock.never();

create trigger rows_are_never_truncated before truncate on public.audit_seals
for each statement execute function interlock.never();
