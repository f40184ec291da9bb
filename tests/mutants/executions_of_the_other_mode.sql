-- Keeps: never an order outside the policy
-- Removes: the mode from the executions that cooldown and anti-flip look at
-- Caught by: tests/database/test_claim.py::test_what_was_done_in_the_other_mode_holds_nothing_back

select pg_temp.substitute(
    'interlock.last_trades',
    'and execution.mode = p_mode',
    ''
);
