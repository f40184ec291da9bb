create table interlock.approval_paces (
    user_id uuid primary key,
    free_at timestamptz not null
);

comment on table interlock.approval_paces is
    'How fast each owner approves. Kept here and not in an instance of execute: there are several, and '
    'they come and go.';
comment on column interlock.approval_paces.user_id is 'The owner.';
comment on column interlock.approval_paces.free_at is
    'When all turns are free again; each turn that is taken moves it on.';

alter table interlock.approval_paces enable row level security;
create policy nobody_reads on interlock.approval_paces for select to service_role using (false);
