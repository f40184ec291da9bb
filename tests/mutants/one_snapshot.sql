-- Keeps: never a second order
-- Removes: the one snapshot in which an approval is read
-- Caught by: tests/database/test_claim.py::test_an_approval_that_overlaps_a_claim_is_refused_for_no_wrong_reason

alter function interlock.read_approval volatile;
alter function interlock.decide_checks volatile;
