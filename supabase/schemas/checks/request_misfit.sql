create function interlock.request_misfit(
    p_body text, p_proposal public.trade_proposals, p_policy jsonb, p_mode text, p_operator_id bigint, p_order_value numeric
) returns text
language plpgsql immutable set search_path = ''
as $$
declare
    v_body jsonb;
    v_amount numeric;
    v_price numeric;
    v_collar numeric := (p_policy ->> 'max_price_move_percent')::numeric / 100;
    v_number constant text := '^(0|[1-9][0-9]{0,17})(\.[0-9]{1,18})?$';
begin
    if p_body is null or length(p_body) > 2000 or p_body !~ '^[\x20-\x7e]+$' then
        return 'the body must be short ASCII text';
    end if;
    begin
        v_body := p_body::jsonb;
    exception
        when others then
            return 'the body must be JSON';
    end;
    if jsonb_typeof(v_body) <> 'object' then
        return 'the body must be a JSON object';
    end if;
    -- Of a field that is there twice jsonb keeps the last one; the exchange may read the first.
    if (select count(*) from json_object_keys(p_body::json)) <> (select count(*) from jsonb_object_keys(v_body)) then
        return 'the body names a field twice';
    end if;
    if v_body - '{market,side,orderType,amount,price,timeInForce,clientOrderId,operatorId}'::text[] <> '{}' then
        return 'the body has a field that an order of ours never has';
    end if;
    if v_body ->> 'market' is distinct from p_proposal.market or v_body ->> 'side' is distinct from p_proposal.side then
        return 'market and side must be the proposal''s';
    end if;
    if v_body ->> 'orderType' is distinct from 'limit' or v_body ->> 'timeInForce' is distinct from 'IOC' then
        return 'every order is sent as limit IOC: nothing rests';
    end if;
    if v_body ->> 'clientOrderId' is distinct from interlock.execution_id(p_proposal.id)::text then
        return 'clientOrderId must be the execution''s id';
    end if;
    if p_operator_id is not null and v_body -> 'operatorId' is distinct from to_jsonb(p_operator_id) then
        return 'operatorId must be the registered one, as a number';
    end if;
    if jsonb_typeof(v_body -> 'amount') is distinct from 'string' or v_body ->> 'amount' !~ v_number
        or jsonb_typeof(v_body -> 'price') is distinct from 'string' or v_body ->> 'price' !~ v_number then
        return 'amount and price must be plain decimals in strings';
    end if;
    v_amount := (v_body ->> 'amount')::numeric;
    v_price := (v_body ->> 'price')::numeric;
    if v_amount <= 0 or v_price <= 0 then
        return 'amount and price must be above zero';
    end if;
    if p_proposal.side = 'buy' then
        if v_price > p_proposal.reference_price * (1 + v_collar) then
            return 'the price is above the collar''s edge';
        end if;
        if p_proposal.order_type = 'limit' and v_price > p_proposal.limit_price then
            return 'the price is above the proposal''s limit';
        end if;
        if v_amount * v_price * (1 + interlock.taker_fee()) + interlock.rounding_room(p_proposal.amount_quote)
            > p_proposal.amount_quote then
            return 'the order could spend more than the proposal allows, fee and rounding included';
        end if;
    else
        if v_price < p_proposal.reference_price * (1 - v_collar) then
            return 'the price is below the collar''s edge';
        end if;
        if p_proposal.order_type = 'limit' and v_price < p_proposal.limit_price then
            return 'the price is below the proposal''s limit';
        end if;
        if v_amount > p_proposal.amount then
            return 'the amount is above the proposal''s';
        end if;
        if p_order_value is null or p_order_value < v_amount * v_price then
            return 'the order value is below amount times price';
        end if;
    end if;
    return null;
end
$$;
comment on function interlock.request_misfit(text, public.trade_proposals, jsonb, text, bigint, numeric) is
    'Why the bytes to be sent are not an order of this proposal within its policy, or null when they are.';
