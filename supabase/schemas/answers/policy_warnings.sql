create function interlock.policy_warnings(p_policy jsonb) returns jsonb
language sql stable set search_path = ''
as $$
    with named as (
        select
            item.value as market,
            case
                when item.value not like '%-EUR' then 'QUOTE_NOT_EUR'
                when mark.unread = 'REFUSED' then 'MARKET_REFUSED'
                when mark.traded or mark.first_read_at is not null or controls.mode <> 'live' then null
                else 'MARKET_NEVER_SEEN'
            end as code
        from jsonb_array_elements_text(p_policy -> 'allowlist') as item
        cross join public.trading_controls as controls
        left join interlock.market_marks as mark on mark.market = item.value
    ),
    warned as (
        select named.code, array_agg(named.market order by named.market) as markets
        from named
        where named.code is not null
        group by named.code
        union all
        select 'ALLOWLIST_EMPTY', '{}'
        where p_policy -> 'allowlist' = '[]'
    )
    select coalesce(
        jsonb_agg(
            jsonb_build_object(
                'code', warned.code,
                'markets', warned.markets,
                'sentence', case warned.code
                    when 'ALLOWLIST_EMPTY' then 'No market is allowed: nothing may trade.'
                    else array_to_string(warned.markets, ', ') || case warned.code
                        when 'QUOTE_NOT_EUR' then ': only markets in EUR are traded.'
                        when 'MARKET_REFUSED' then ': the exchange refuses it. Is the name right?'
                        else ': not seen at the exchange so far. Is the name right?'
                    end
                end
            )
            order by warned.code
        ),
        '[]'
    )
    from warned
$$;
comment on function interlock.policy_warnings(jsonb) is
    'What an owner should look at in a policy that is valid: each with a code, the markets it is about, '
    'and a sentence. What was never seen is known in live mode alone: only there orders are compared.';
