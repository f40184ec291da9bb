-- Keeps: never a fact lost
-- Removes: orders that show no operatorId and carry an execution's id from what is compared
-- Caught by: tests/cleanup/test_blindness.py::test_where_no_operator_id_is_listed_it_is_said_and_trading_goes_on

select pg_temp.substitute(
    'public.compare_orders',
    'where execution.id = interlock.as_uuid(item.value ->> ''clientOrderId'')',
    'where false'
);
