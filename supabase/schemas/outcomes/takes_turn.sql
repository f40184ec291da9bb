create function interlock.takes_turn(p_user_id uuid, p_now timestamptz) returns boolean
language plpgsql volatile set search_path = ''
as $$
begin
    -- Read first: whoever comes too fast writes nothing, not even a lock on the row.
    if exists (
        select
        from interlock.approval_paces as pace
        where pace.user_id = p_user_id and interlock.free_after_a_turn(pace.free_at, p_now) is null
    ) then
        return false;
    end if;
    insert into interlock.approval_paces as pace (user_id, free_at)
    values (p_user_id, interlock.free_after_a_turn(null, p_now))
    on conflict (user_id) do update
    set free_at = interlock.free_after_a_turn(pace.free_at, p_now)
    where interlock.free_after_a_turn(pace.free_at, p_now) is not null;
    return found;
end
$$;
comment on function interlock.takes_turn(uuid, timestamptz) is
    'Takes one of an owner''s turns to approve. False when none is free, and then nothing is written.';
