create function interlock.refusals_only_grow() returns trigger
language plpgsql set search_path = ''
as $$
begin
    if (new.proposal_id, new.verdicts, new.clock_skew, new.event_id, new.user_id)
        is distinct from (old.proposal_id, old.verdicts, old.clock_skew, old.event_id, old.user_id)
        or new.times <= old.times then
        raise exception using
            errcode = 'restrict_violation', message = 'a refusal of public.trade_refusals stays, and its count only rises';
    end if;
    return new;
end
$$;
comment on function interlock.refusals_only_grow() is
    'Trigger: a count only rises, and of what it counts nothing changes.';

create trigger refusals_only_grow before update on public.trade_refusals
for each row execute function interlock.refusals_only_grow();
