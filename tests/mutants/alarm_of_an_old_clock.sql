-- Keeps: never a fact lost
-- Removes: the clock that was set back from what may be told of again
-- Caught by: tests/database/test_inspection.py::test_a_clock_that_was_set_back_keeps_no_alarm_quiet

select pg_temp.substitute(
    'public.alarm_overdue_executions',
    'open.alarmed_at not between v_now - interval ''6 hours'' and v_now + interval ''10 seconds''',
    'open.alarmed_at < v_now - interval ''6 hours'''
);
