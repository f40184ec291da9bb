-- Keeps: never a fact lost
-- Removes: the second telling of a fill whose first was lost
-- Caught by: tests/database/test_notices.py::test_a_fill_is_told_until_it_was

select pg_temp.substitute('public.take_notices', 'else interval ''2 minutes''', 'else interval ''2 days''');
