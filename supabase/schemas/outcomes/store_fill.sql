create function interlock.store_fill(
    p_execution public.trade_executions, p_order jsonb, p_now timestamptz
) returns void
language plpgsql volatile set search_path = ''
as $$
declare
    v_amount numeric := coalesce(p_order ->> 'filledAmount', '0')::numeric;
    v_quote numeric := coalesce(p_order ->> 'filledAmountQuote', '0')::numeric;
begin
    if v_amount <= 0 then
        return;
    end if;
    insert into public.trade_history as history (
        user_id, asset, market, side, amount, amount_quote, price, fee, fee_currency,
        execution_id, exchange_order_id, executed_at
    ) values (
        p_execution.user_id, p_execution.asset, p_execution.market, p_execution.side, v_amount, v_quote,
        case when v_quote > 0 then round(v_quote / v_amount, 12) end,
        coalesce(p_order ->> 'feePaid', '0')::numeric, p_order ->> 'feeCurrency',
        p_execution.id, p_order ->> 'orderId',
        coalesce(interlock.order_time(p_order ->> 'updated'), interlock.order_time(p_order ->> 'created'), p_now)
    )
    on conflict on constraint one_row_an_order do update
    set
        amount = greatest(history.amount, excluded.amount),
        amount_quote = greatest(history.amount_quote, excluded.amount_quote),
        price = case
            when excluded.amount_quote >= history.amount_quote and excluded.amount >= history.amount then excluded.price
            else history.price
        end,
        fee = greatest(history.fee, excluded.fee),
        fee_currency = coalesce(excluded.fee_currency, history.fee_currency),
        executed_at = greatest(history.executed_at, excluded.executed_at)
    where excluded.amount > history.amount or excluded.amount_quote > history.amount_quote
        or excluded.fee > history.fee or history.fee_currency is null and excluded.fee_currency is not null;
end
$$;
comment on function interlock.store_fill(public.trade_executions, jsonb, timestamptz) is
    'What an order filled, in trade_history: one row an order, growing and never shrinking.';
