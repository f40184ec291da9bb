create function interlock.fills_are_settled(p_order jsonb, p_filled numeric) returns boolean
language sql immutable set search_path = ''
as $$
    select p_filled = 0 or (
        coalesce(jsonb_typeof(p_order -> 'fills') = 'array', false)
        and jsonb_array_length(p_order -> 'fills') > 0
        and not exists (
            select from jsonb_array_elements(p_order -> 'fills') as fill
            where fill.value ->> 'settled' is distinct from 'true'
        )
    )
$$;
comment on function interlock.fills_are_settled(jsonb, numeric) is
    'Is the fee of every fill of an order final?';
