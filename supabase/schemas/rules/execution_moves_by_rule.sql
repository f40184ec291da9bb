create function interlock.execution_moves_by_rule() returns trigger
language plpgsql set search_path = ''
as $$
declare
    v_free text[] := '{status,response,exchange_order_id,exchange_updated,error_code,filled_amount,filled_amount_quote,fee,fee_currency,fills_settled,settled_at,next_check_at,check_attempts,checked_by,alarmed_at,asset,fee_eur}';
    v_names_an_order boolean := new.exchange_order_id is not null;
begin
    if to_jsonb(new) - v_free is distinct from to_jsonb(old) - v_free then
        raise exception using
            errcode = 'restrict_violation',
            message = 'what was claimed never changes: only the outcome of an execution is written later';
    end if;
    if new.status is distinct from old.status and not coalesce(
        case old.status
            when 'CLAIMED' then new.status in ('UNKNOWN', 'OPEN', 'PARTIALLY_FILLED', 'FILLED', 'CANCELED', 'REJECTED', 'NOT_PLACED')
            when 'UNKNOWN' then new.status in ('OPEN', 'PARTIALLY_FILLED', 'FILLED', 'CANCELED', 'REJECTED', 'NOT_PLACED')
            when 'OPEN' then new.status in ('PARTIALLY_FILLED', 'FILLED', 'CANCELED')
            when 'PARTIALLY_FILLED' then new.status in ('FILLED', 'CANCELED')
            -- A fact wins over a conclusion: an order of this execution exists after all.
            when 'NOT_PLACED' then v_names_an_order and new.status <> 'CLAIMED'
            when 'REJECTED' then v_names_an_order and new.status not in ('CLAIMED', 'NOT_PLACED')
        end,
        false
    ) then
        raise exception using
            errcode = 'restrict_violation',
            message = format('an execution never goes from %s to %s', old.status, new.status);
    end if;
    if old.exchange_order_id is not null and new.exchange_order_id is distinct from old.exchange_order_id then
        raise exception using
            errcode = 'restrict_violation',
            message = 'an execution names one order of the exchange and never another';
    end if;
    if new.filled_amount < old.filled_amount or new.filled_amount_quote < old.filled_amount_quote
        or (old.filled_amount > 0 and new.fee < old.fee)
        or (old.fills_settled and not new.fills_settled) then
        raise exception using errcode = 'restrict_violation', message = 'fills grow and never shrink';
    end if;
    return new;
end
$$;
comment on function interlock.execution_moves_by_rule() is
    'Trigger: the state diagram, for every role. Conclusions (NOT_PLACED, REJECTED) yield only to an '
    'order; fills only grow.';

create trigger states_move_by_the_diagram
before update on public.trade_executions
for each row execute function interlock.execution_moves_by_rule();
