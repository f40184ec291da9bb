create function interlock.at_worst(p_proposal public.trade_proposals, p_policy jsonb) returns jsonb
language sql stable set search_path = ''
as $$
    select jsonb_build_object(
        'worst_price', trim_scale(coalesce(
            p_proposal.limit_price,
            p_proposal.reference_price
            * (1 + case p_proposal.side when 'buy' then 1 else -1 end * (p_policy ->> 'max_price_move_percent')::numeric / 100)
        ))::text,
        'fee_percent', trim_scale(interlock.taker_fee() * 100)::text
    )
$$;
comment on function interlock.at_worst(public.trade_proposals, jsonb) is
    'What an approval could come to: the edge of the collar around the reference price, or the limit, and '
    'the highest fee. The market of the moment can only narrow it.';
