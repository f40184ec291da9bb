-- Keeps: never an order after a halt
-- Removes: the halt of what is halted already: whoever resumes does not know of it
-- Caught by: tests/database/test_halts.py::test_a_halt_on_a_halt_is_seen_before_trading_goes_on

select pg_temp.substitute('interlock.halt', 'where singleton', 'where singleton and trading_state <> ''HALTED''');
