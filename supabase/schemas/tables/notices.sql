-- Notices

create table interlock.notices (
    notice text primary key,
    detail jsonb not null,
    at timestamptz not null,
    tell_at timestamptz not null,
    told bigint not null default 0
);

create index notices_by_time on interlock.notices (tell_at);

comment on table interlock.notices is
    'What a person has to be told: a halt for as long as it stands, again and again; a fill, the end of '
    'an unknown fate or a scan that stopped until it was told.';
comment on column interlock.notices.notice is 'What it is of: its kind, and whose or which.';
comment on column interlock.notices.detail is 'The facts that no row keeps.';
comment on column interlock.notices.at is 'When it happened.';
comment on column interlock.notices.tell_at is 'When it is told next.';
comment on column interlock.notices.told is 'How often it was told.';

alter table interlock.notices enable row level security;
create policy nobody_reads on interlock.notices for select to service_role using (false);
