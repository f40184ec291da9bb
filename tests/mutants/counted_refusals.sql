-- Keeps: never an order after a halt
-- Removes: the counting of a repeated refusal: each is stored
-- Caught by: tests/database/test_claim.py::test_a_repeated_refusal_is_counted_and_another_one_is_stored

select pg_temp.substitute('interlock.keep_refusal', 'where kept.event_id = v_event', '');
select pg_temp.substitute('interlock.keep_refusal', 'v_event, p_user_id, p_proposal_id', 'gen_random_uuid(), p_user_id, p_proposal_id');
