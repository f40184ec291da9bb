-- Keeps: never an order after a halt
-- Removes: the halts' place before all other news
-- Caught by: tests/database/test_notices.py::test_a_halt_is_told_before_any_other_news

select pg_temp.substitute(
    'public.take_notices', 'order by due.notice not like ''HALTED %'', due.tell_at', 'order by due.tell_at'
);
