-- Keeps: never a fact lost
-- Removes: the repetition of a halt that stands: who did not hear of it at once never does
-- Caught by: tests/database/test_notices.py::test_a_halt_is_told_for_as_long_as_it_stands

select pg_temp.substitute('public.end_notices', 'and notice not like ''HALTED %''', '');
