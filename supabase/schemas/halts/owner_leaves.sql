create function interlock.owner_leaves() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
    update public.scan_jobs
    set enabled = false, last_error = 'its user is no longer an owner'
    where user_id = old.user_id and enabled;
    return null;
end
$$;
comment on function interlock.owner_leaves() is
    'Trigger: a user who is no longer an owner is no longer scanned for. Definer: whoever edits the list '
    'may not write jobs.';

create trigger jobs_end_with_the_owner after delete on public.trading_owners
for each row execute function interlock.owner_leaves();
