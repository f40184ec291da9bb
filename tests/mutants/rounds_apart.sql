-- Keeps: never a fact lost
-- Removes: the time between two rounds of absence
-- Caught by: tests/database/test_transitions.py::test_a_second_round_that_comes_too_soon_on_either_clock_concludes_nothing

select pg_temp.substitute(
    'public.record_absence', 'or p_run_started_at < v_first.recorded_at + c_apart then', 'then'
);
