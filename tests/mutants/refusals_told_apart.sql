-- Keeps: never a fact lost
-- Removes: the checks that failed from what makes a refusal another one
-- Caught by: tests/database/test_claim.py::test_a_repeated_refusal_is_counted_and_another_one_is_stored

select pg_temp.substitute('interlock.keep_refusal', 'jsonb_agg(verdict.value - ''facts'')', 'count(*) < 0');
