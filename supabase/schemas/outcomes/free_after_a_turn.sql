create function interlock.free_after_a_turn(p_free_at timestamptz, p_now timestamptz) returns timestamptz
language sql immutable parallel safe set search_path = ''
as $$
    select case
        -- All are free; or the clock was set back, and nobody waits for it.
        when p_free_at between p_now and p_now + interval '120 seconds' is not true then p_now + interval '2 seconds'
        when p_free_at <= p_now + interval '118 seconds' then p_free_at + interval '2 seconds'
    end
$$;
comment on function interlock.free_after_a_turn(timestamptz, timestamptz) is
    'When all turns are free again after one more is taken: there are sixty, and one comes back every two '
    'seconds. Null when none is free.';
