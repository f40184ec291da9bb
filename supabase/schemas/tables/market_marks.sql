-- Marks of the comparison: orders out = approvals in

create table interlock.market_marks (
    market text primary key,
    read_to timestamptz not null,
    watched_since timestamptz not null,
    first_read_at timestamptz,
    asked_at timestamptz,
    traded boolean not null default false,
    unread text,
    operator_ids_hidden_at timestamptz,
    operator_ids_shown_at timestamptz,
    constraint unread_is_known check (unread in ('REFUSED', 'UNREADABLE', 'BLIND'))
);

comment on table interlock.market_marks is
    'Up to which time the orders of a market were completely read and compared. A mark moves only after a '
    'complete read.';
comment on column interlock.market_marks.market is 'Such as BTC-EUR.';
comment on column interlock.market_marks.read_to is
    'Everything before this time was read. Begins 24 hours before the market was first watched.';
comment on column interlock.market_marks.first_read_at is
    'When it was first read completely. Until then, and while no execution traded it, it holds nothing '
    'back: a market that an owner misspelled must not stop the others.';
comment on column interlock.market_marks.traded is 'Did an execution ever claim an order in it?';
comment on column interlock.market_marks.watched_since is 'When the market was first watched.';
comment on column interlock.market_marks.asked_at is
    'When a run last set out to read it; empty once it was read completely.';
comment on column interlock.market_marks.unread is
    'Why the last run that set out to read it did not: the exchange REFUSED the market, its lists were '
    'UNREADABLE, or BLIND to an order that is known. Empty once it was read completely.';
comment on column interlock.market_marks.operator_ids_hidden_at is
    'When orders were last read that showed no operatorId: none of them, or one that is known to be ours. '
    'Empty once they showed it.';
comment on column interlock.market_marks.operator_ids_shown_at is
    'When orders were last read that showed their operatorId.';

alter table interlock.market_marks enable row level security;
create policy nobody_reads on interlock.market_marks for select to service_role using (false);
