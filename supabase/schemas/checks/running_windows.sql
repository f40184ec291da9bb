create function interlock.running_windows(p_user_id uuid, p_mode text, p_policy jsonb, p_now timestamptz) returns jsonb
language sql stable set search_path = ''
as $$
    select coalesce(
        jsonb_agg(
            jsonb_build_object(
                'asset', asset.name,
                'cooldown_until', cooldown.at + make_interval(mins => (p_policy ->> 'cooldown_minutes')::integer),
                'no_sell_until', buys.at + make_interval(mins => (p_policy ->> 'anti_flip_minutes')::integer),
                'no_buy_until', sells.at + make_interval(mins => (p_policy ->> 'anti_flip_minutes')::integer)
            )
            order by asset.name
        ) filter (where cooldown.at is not null or buys.at is not null or sells.at is not null),
        '[]'
    )
    from (
        select distinct split_part(item.value, '-', 1) as name
        from jsonb_array_elements_text(p_policy -> 'allowlist') as item
    ) as asset
    cross join lateral interlock.last_trades(
        p_user_id, asset.name, p_mode, p_now - make_interval(mins => (p_policy ->> 'cooldown_minutes')::integer)
    ) as cooldown (at)
    cross join lateral interlock.last_trades(
        p_user_id, asset.name, p_mode, p_now - make_interval(mins => (p_policy ->> 'anti_flip_minutes')::integer), 'sell'
    ) as buys (at)
    cross join lateral interlock.last_trades(
        p_user_id, asset.name, p_mode, p_now - make_interval(mins => (p_policy ->> 'anti_flip_minutes')::integer), 'buy'
    ) as sells (at)
$$;
comment on function interlock.running_windows(uuid, text, jsonb, timestamptz) is
    'Running cooldowns and anti-flip windows of the allowlisted assets.';
