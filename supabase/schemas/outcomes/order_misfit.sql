create function interlock.order_misfit(p_order jsonb, p_execution public.trade_executions) returns text
language plpgsql immutable set search_path = ''
as $$
declare
    v_field text;
begin
    if jsonb_typeof(p_order) is distinct from 'object' or coalesce(length(p_order ->> 'orderId'), 0) not between 1 and 200 then
        return 'an order object with an orderId is needed';
    end if;
    if lower(p_order ->> 'clientOrderId') is distinct from p_execution.id::text
        or p_order ->> 'market' is distinct from p_execution.market
        or p_order ->> 'side' is distinct from p_execution.side then
        return 'the order''s clientOrderId, market and side must be the execution''s';
    end if;
    foreach v_field in array array['filledAmount', 'filledAmountQuote', 'feePaid'] loop
        if interlock.as_decimal(coalesce(p_order ->> v_field, '0')) is null then
            return format('%s must be a decimal', v_field);
        end if;
        if v_field <> 'feePaid' and interlock.as_decimal(p_order ->> v_field) < 0 then
            return format('%s must not be negative', v_field);
        end if;
    end loop;
    if length(p_order ->> 'feeCurrency') > 20 then
        return 'feeCurrency must be the name of a currency';
    end if;
    return null;
end
$$;
comment on function interlock.order_misfit(jsonb, public.trade_executions) is
    'Why an order object is no fact about this execution, or null when it is one.';
