-- Keeps: never an order after a halt
-- Removes: the version that loosening needs
-- Caught by: tests/database/test_halts.py::test_loosening_the_controls_needs_their_current_version

select pg_temp.substitute(
    'public.set_trading_controls', 'if not v_tightens and p_version is distinct from v_old.version then', 'if false then'
);
