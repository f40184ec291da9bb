create function interlock.fee_in_eur(
    p_fee numeric, p_currency text, p_market text, p_amount numeric, p_amount_quote numeric
) returns numeric
language sql immutable parallel safe set search_path = ''
as $$
    select case
        when p_fee = 0 or p_currency = 'EUR' then p_fee
        when p_currency = split_part(p_market, '-', 1) and p_amount > 0 then p_fee * p_amount_quote / p_amount
    end
$$;
comment on function interlock.fee_in_eur(numeric, text, text, numeric, numeric) is
    'A fee in EUR; one in the market''s base currency is valued at the average price of the fills. Null: '
    'it has no value that is known.';
