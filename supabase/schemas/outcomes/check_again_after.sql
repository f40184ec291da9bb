create function interlock.check_again_after(p_attempts bigint, p_age interval) returns interval
language sql immutable strict parallel safe set search_path = ''
as $$
    select least(
        case when p_age < interval '24 hours' then interval '30 minutes' else interval '6 hours' end,
        interval '10 seconds' * power(2, least(p_attempts, 12))
    )
$$;
comment on function interlock.check_again_after(bigint, interval) is
    'How long to wait after a look-up that told nothing new: it doubles, up to half an hour, and up to '
    'six hours once an execution is older than a day and only a person settles it.';
