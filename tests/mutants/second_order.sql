-- Keeps: never a second order
-- Removes: the halt that a second order under one id causes
-- Caught by: tests/database/test_transitions.py::test_a_second_order_under_one_id_halts_once

select pg_temp.substitute(
    'interlock.apply_outcome',
    'perform interlock.halt(format(''a second order under the id of execution %s'', v_old.id));',
    ''
);
