-- Keeps: never an order after a halt
-- Removes: an owner's pace: whoever loops has all turns
-- Caught by: tests/database/test_claim.py::test_an_owners_approvals_have_a_pace_and_another_owners_their_own

select pg_temp.substitute('interlock.takes_turn', 'return found;', 'return true;');
select pg_temp.substitute('interlock.takes_turn', 'return false;', 'return true;');
