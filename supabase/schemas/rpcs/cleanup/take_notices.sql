create function public.take_notices(p_limit integer default 20) returns jsonb
language plpgsql volatile security definer set search_path = '' set timezone = 'UTC'
as $$
declare
    v_now timestamptz := interlock.clock();
    v_notices jsonb;
begin
    if p_limit is null or p_limit not between 1 and 1000 then
        raise sqlstate 'PT400' using message = 'INVALID_NOTICES', detail = 'A run takes 1 to 1000 notices.';
    end if;
    perform interlock.act_as('cleanup');
    -- What could not be told for a day is no news any more; a halt that stands is.
    delete from interlock.notices where notice not like 'HALTED %' and at < v_now - interval '24 hours';
    with taken as (
        update interlock.notices as taking
        set
            told = taking.told + 1,
            at = least(taking.at, v_now),
            tell_at = v_now + case
                when taking.notice like 'HALTED %'
                    then least(interval '24 hours', interval '10 minutes' * power(4, least(taking.told, 5)))
                else interval '2 minutes'
            end
        where taking.notice in (
            select due.notice
            from interlock.notices as due
            -- A clock that was set back must not keep anything from being told.
            where due.tell_at <= v_now or due.at > v_now + interval '10 seconds'
            -- A halt waits for no other news, however much of that an owner makes.
            order by due.notice not like 'HALTED %', due.tell_at
            limit p_limit
            for update skip locked
        )
        returning taking.*
    )
    select coalesce(
        jsonb_agg(
            jsonb_build_object(
                'notice', taken.notice,
                'kind', split_part(taken.notice, ' ', 1),
                'at', taken.at,
                'told', taken.told::text,
                'user_id', execution.user_id,
                'execution_id', execution.id,
                'market', execution.market,
                'side', execution.side,
                'status', execution.status,
                'amount', execution.filled_amount::text,
                'amount_quote', execution.filled_amount_quote::text,
                'price', case
                    when execution.filled_amount > 0 then round(execution.filled_amount_quote / execution.filled_amount, 8)::text
                end,
                'fee', execution.fee::text,
                'fee_currency', execution.fee_currency,
                'reason', proposal.rationale
            ) || taken.detail
            order by taken.at
        ),
        '[]'
    )
    into v_notices
    from taken
    left join public.trade_executions as execution
        on execution.id = case
            when split_part(taken.notice, ' ', 1) in ('FILLED', 'SETTLED') then interlock.as_uuid(split_part(taken.notice, ' ', 2))
        end
    left join public.trade_proposals as proposal on proposal.id = execution.proposal_id;
    return jsonb_build_object('notices', v_notices);
end
$$;
comment on function public.take_notices(integer) is
    'What a person has to be told now. A halt that stands is told again after ten minutes, and then at '
    'growing intervals up to a day, until it is lifted or another reason joins it; anything else again '
    'after two minutes, unless end_notices says that it was told. So nothing that happened depends on one '
    'answer that may be lost.';
