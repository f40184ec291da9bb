create function interlock.comparison_is_stale(p_reconciled_at timestamptz, p_now timestamptz) returns boolean
language sql immutable parallel safe set search_path = ''
as $$ select coalesce(p_reconciled_at < p_now - interval '15 minutes', true) $$;
comment on function interlock.comparison_is_stale(timestamptz, timestamptz) is
    'Is the last comparison of orders with approvals too old for live trading? None yet is too old.';
