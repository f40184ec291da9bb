-- Keeps: never a fact lost
-- Removes: the clock that was set back from what is told now
-- Caught by: tests/database/test_notices.py::test_a_clock_that_was_set_back_keeps_no_halt_quiet

select pg_temp.substitute('public.take_notices', 'or due.at > v_now + interval ''10 seconds''', '');
