create function interlock.job_begins_anew() returns trigger
language plpgsql set search_path = ''
as $$
begin
    new.consecutive_failures := 0;
    new.last_error := null;
    return new;
end
$$;
comment on function interlock.job_begins_anew() is
    'Trigger: a job that is switched on again, by whomever, has its ten tries again.';

create trigger switched_on_it_begins_anew
before update of enabled on public.scan_jobs
for each row when (new.enabled and not old.enabled) execute function interlock.job_begins_anew();
