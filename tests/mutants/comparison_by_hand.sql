-- Keeps: never an order outside the policy
-- Removes: the version and the audit event of a comparison that nobody made
-- Caught by: tests/database/test_halts.py::test_a_comparison_that_nobody_made_is_in_the_audit

select pg_temp.substitute(
    'interlock.controls_are_versioned',
    '(new.reconciled_at is distinct from old.reconciled_at and interlock.actor() <> ''cleanup'')',
    'false'
);
