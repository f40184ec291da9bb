-- Keeps: never an order after a halt
-- Removes: the gate that a comparison takes for a fill that has grown
-- Caught by: tests/database/test_transitions.py::test_what_halts_waits_for_open_claims_before_it_locks_a_row[a comparison-OVERFILLED]

select pg_temp.substitute(
    'public.compare_orders',
    'or interlock.as_decimal(item.value ->> ''filledAmount'') is distinct from execution.filled_amount
            or interlock.as_decimal(item.value ->> ''feePaid'') is distinct from execution.fee',
    ''
);
