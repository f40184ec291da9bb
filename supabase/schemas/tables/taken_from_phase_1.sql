create table interlock.taken_from_phase_1 (
    statement text primary key
);

alter table interlock.taken_from_phase_1 enable row level security;
create policy nobody_reads on interlock.taken_from_phase_1 for select to service_role using (false);

comment on table interlock.taken_from_phase_1 is
    'What the upgrade takes from a project that had phase 1: default privileges, grants and policies. '
    'supabase/rollback/ gives it back.';
comment on column interlock.taken_from_phase_1.statement is 'The statement that gives it back.';
