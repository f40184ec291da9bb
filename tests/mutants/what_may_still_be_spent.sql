-- Keeps: never an order outside the policy
-- Removes: the rest of a partly filled order from what a day has spent
-- Caught by: tests/database/test_claim.py::test_what_a_partly_filled_order_may_still_spend_counts

select pg_temp.substitute(
    'interlock.counted_today', 'greatest(spent.value, open.value) as value', 'coalesce(spent.value, open.value) as value'
);
