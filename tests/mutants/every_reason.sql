-- Keeps: never an order after a halt
-- Removes: the reasons for which trading is halted already
-- Caught by: tests/database/test_halts.py::test_reasons_add_up_until_trading_is_loosened

select pg_temp.substitute('interlock.reasons', 'then p_standing || ''; '' ||', 'then');
