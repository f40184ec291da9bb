create function interlock.allowed_markets() returns setof text
language sql stable set search_path = ''
as $$
    select distinct item.value
    from public.trading_policies as policy
    join public.trading_owners as owner on owner.user_id = policy.user_id
    cross join jsonb_array_elements_text(policy.policy -> 'allowlist') as item
    where item.value like '%-EUR'
$$;
comment on function interlock.allowed_markets() is 'The markets that owners'' policies name today.';
