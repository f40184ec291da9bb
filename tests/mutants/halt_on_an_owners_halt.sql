-- Keeps: never an order after a halt
-- Removes: the halt by itself of an owner who is halted already
-- Caught by: tests/database/test_halts.py::test_an_owner_resumes_only_what_stands

select pg_temp.substitute(
    'public.halt_failing_owners',
    'or (v_owner.trading_state = ''HALTED'' and interlock.names_reason(v_owner.state_reason, v_reason))',
    'or v_owner.trading_state = ''HALTED'''
);
