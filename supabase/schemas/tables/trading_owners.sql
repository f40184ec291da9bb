create table public.trading_owners (
    user_id uuid primary key references auth.users (id) on delete restrict,
    note text not null default '',
    created_at timestamptz not null default interlock.clock(),
    constraint note_is_short check (length(note) <= 500)
);

comment on table public.trading_owners is
    'The users who may trade on the one exchange account. Empty at first: nobody may. Add a row here to '
    'name an owner.';
comment on column public.trading_owners.user_id is 'The user, from Authentication.';
comment on column public.trading_owners.note is 'Who this is, for people.';
comment on column public.trading_owners.created_at is 'When the owner was named.';

create trigger rows_are_never_truncated before truncate on public.trading_owners
for each statement execute function interlock.never();
