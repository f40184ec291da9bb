create function interlock.may_be_asked(p_mark interlock.market_marks, p_now timestamptz) returns boolean
language sql immutable parallel safe set search_path = ''
as $$
    select coalesce(
        p_mark.asked_at not between
            p_now - case
                when p_mark.unread is null or interlock.holds_back(p_mark) then interval '40 seconds'
                else interval '1 hour'
            end
            -- Of a run at the same time, the clock may have been read a moment later; but a clock that was set back must
            -- not keep a market from being read.
            and p_now + interval '10 seconds',
        true
    )
$$;
comment on function interlock.may_be_asked(interlock.market_marks, timestamptz) is
    'May a run set out to read this market? While another one may be reading it, no; and what the '
    'exchange does not have is asked for once an hour, whoever lists it.';
