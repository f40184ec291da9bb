-- Keeps: never an order outside the policy
-- Removes: the comparison of every order in an account that nothing else uses
-- Caught by: tests/cleanup/test_blindness.py::test_in_a_dedicated_account_every_order_is_compared[False]

select pg_temp.substitute(
    'public.compare_orders',
    'where v_dedicated or interlock.shows_an_operator(item.value)',
    'where interlock.shows_an_operator(item.value)'
);
