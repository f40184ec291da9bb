-- Keeps: never a fact lost
-- Removes: what was sent live from what a cleanup in dry run settles
-- Caught by: tests/cleanup/test_blindness.py::test_a_cleanup_in_dry_run_settles_what_was_sent_live

select pg_temp.substitute('public.begin_cleanup', 'and p_trade_key_fingerprint is not null', 'and p_mode = ''live''');
