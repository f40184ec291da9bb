create function interlock.usage_moves_by_rule() returns trigger
language plpgsql set search_path = ''
as $$
begin
    if new.id <> old.id or new.user_id <> old.user_id or new.created_at <> old.created_at
        or new.scan_job_id is distinct from old.scan_job_id or new.most_tokens <> old.most_tokens then
        raise exception using errcode = 'restrict_violation', message = 'what a reservation is for never changes';
    end if;
    if new.status is distinct from old.status and not coalesce(
        case old.status
            when 'RESERVED' then new.status in ('SUCCEEDED', 'FAILED', 'RELEASED', 'ABANDONED')
            -- The answer came after cleanup had given the reservation up: its tokens were spent all the same.
            when 'ABANDONED' then new.status in ('SUCCEEDED', 'FAILED')
        end,
        false
    ) then
        raise exception using
            errcode = 'restrict_violation',
            message = format('a model call never goes from %s to %s', old.status, new.status);
    end if;
    if new.tokens_used < old.tokens_used then
        raise exception using errcode = 'restrict_violation', message = 'used tokens never shrink';
    end if;
    return new;
end
$$;
comment on function interlock.usage_moves_by_rule() is
    'Trigger: a settled model call stays settled, and nothing clears usage.';

create trigger calls_move_by_the_diagram
before update on public.gpt_usage_log
for each row execute function interlock.usage_moves_by_rule();
