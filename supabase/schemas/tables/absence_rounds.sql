create table interlock.absence_rounds (
    execution_id uuid primary key references public.trade_executions (id) on delete restrict,
    ended_ms bigint not null,
    recorded_at timestamptz not null
);

comment on table interlock.absence_rounds is
    'The first complete round of reads that did not find an execution''s order. A second one must agree '
    'before NOT_PLACED is concluded.';
comment on column interlock.absence_rounds.execution_id is 'The execution whose order was not found.';
comment on column interlock.absence_rounds.ended_ms is 'When the round ended, on the exchange''s clock, ms.';
comment on column interlock.absence_rounds.recorded_at is 'When it was recorded, on the database''s clock.';

alter table interlock.absence_rounds enable row level security;
create policy nobody_reads on interlock.absence_rounds for select to service_role using (false);
