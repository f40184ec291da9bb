create function interlock.history_counts_from_its_claim() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
    if tg_op = 'UPDATE' then
        if to_jsonb(new) - '{amount,amount_quote,price,fee,fee_currency,executed_at,value_eur}'::text[]
            is distinct from to_jsonb(old) - '{amount,amount_quote,price,fee,fee_currency,executed_at,value_eur}'::text[]
            or new.amount < old.amount
            or (old.amount_quote is not null and coalesce(new.amount_quote < old.amount_quote, true))
            or (old.fee is not null and coalesce(new.fee < old.fee, true)) then
            raise exception using errcode = 'restrict_violation', message = 'history grows and never shrinks';
        end if;
        return new;
    end if;
    -- A time of the future, from another clock or a slip of the hand, would hold the asset until then.
    new.counted_at := least(new.executed_at, interlock.clock());
    new.mode := null;
    if new.execution_id is not null then
        select execution.claimed_at, execution.mode into new.counted_at, new.mode
        from public.trade_executions as execution
        where execution.id = new.execution_id;
    end if;
    return new;
end
$$;
comment on function interlock.history_counts_from_its_claim() is
    'Trigger: limits count a trade from its claim; one without an execution from its own time, in both '
    'modes. Definer: whoever inserts may not read executions.';

create trigger history_counts_from_its_claim
before insert or update on public.trade_history
for each row execute function interlock.history_counts_from_its_claim();
