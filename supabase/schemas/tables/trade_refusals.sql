-- Refusals: an owner may ask for the same thing any number of times, and the audit grows by what is new.

create table public.trade_refusals (
    proposal_id uuid not null,
    verdicts text not null,
    times bigint not null default 1,
    recent_at timestamptz [] not null,
    last_at timestamptz not null generated always as (recent_at[1]) stored,
    clock_skew boolean not null,
    event_id uuid not null references public.audit_events (id) on delete restrict,
    user_id uuid not null,
    primary key (proposal_id, verdicts),
    constraint a_refusal_happened check (times >= 1 and cardinality(recent_at) <= 5)
);

create index skewed_clocks_by_owner on public.trade_refusals (user_id, last_at) where clock_skew;
create index refusals_by_event on public.trade_refusals (event_id);

comment on table public.trade_refusals is
    'How often an approval was refused by the same checks, and when. The first time is an event of the '
    'audit, with all verdicts and facts; a repeat is counted here. Never deleted.';
comment on column public.trade_refusals.proposal_id is 'The proposal whose approval was refused.';
comment on column public.trade_refusals.verdicts is
    'Digest of the checks that did not pass and of what was decided: the approval before market facts, or '
    'the claim.';
comment on column public.trade_refusals.times is 'How often.';
comment on column public.trade_refusals.last_at is 'When last.';
comment on column public.trade_refusals.recent_at is 'The last five times, the latest first.';
comment on column public.trade_refusals.clock_skew is
    'Was a clock off (CLOCK_SKEW)? Five of these within an hour halt their owner.';
comment on column public.trade_refusals.event_id is 'The audit event of the first time.';
comment on column public.trade_refusals.user_id is 'The owner who approved.';

create trigger rows_are_never_deleted before delete on public.trade_refusals
for each row execute function interlock.never();

create trigger rows_are_never_truncated before truncate on public.trade_refusals
for each statement execute function interlock.never();
