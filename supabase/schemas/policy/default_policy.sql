create function interlock.default_policy() returns jsonb
language sql immutable parallel safe set search_path = ''
as $$
    select '{
        "allowlist": [],
        "min_confidence": 70,
        "limits": {
            "order": {"min_eur": "6", "max_eur": "250"},
            "daily": {"trades": 5, "value_eur": "1000"},
            "gpt": {"daily": 20, "hourly": 4}
        },
        "cooldown_minutes": 60,
        "anti_flip_minutes": 120,
        "max_price_move_percent": "1.0",
        "max_spread_percent": "0.5",
        "proposal_ttl_minutes": 15,
        "scan_interval_minutes": 60
    }'::jsonb
$$;
comment on function interlock.default_policy() is
    'The defaults that set_trading_policy fills in. The allowlist is empty: nothing may trade until the '
    'owner names a market.';
