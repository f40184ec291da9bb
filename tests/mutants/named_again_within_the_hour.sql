-- Keeps: never one owner in another's way
-- Removes: the hour for which the mark of a market that was asked for stays
-- Caught by: tests/database/test_comparison.py::test_what_no_policy_names_is_watched_on_only_if_it_was_traded_or_read

select pg_temp.substitute(
    'public.begin_cleanup',
    'and coalesce(gone.asked_at not between v_now - c_asked_anew and v_now, true)',
    ''
);
