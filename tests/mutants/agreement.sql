-- Keeps: never a fact lost
-- Removes: the agreement of proposal and execution at commit
-- Caught by: tests/database/test_transitions.py::test_execution_and_proposal_are_written_together
-- Caught by: tests/database/test_transitions.py::test_a_proposal_is_executed_only_with_an_execution

drop trigger proposal_and_execution_agree on public.trade_executions;
drop trigger proposal_and_execution_agree on public.trade_proposals;
