-- Keeps: never two at one job
-- Removes: the lease's token from the reservation of a model call
-- Caught by: tests/database/test_leases.py::test_whoever_lost_the_lease_writes_nothing_but_the_tokens_that_were_spent

select pg_temp.substitute(
    'public.reserve_gpt_call', 'v_job.lock_token is distinct from p_lock_token or', ''
);
