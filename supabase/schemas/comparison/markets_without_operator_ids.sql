create function interlock.markets_without_operator_ids() returns setof text
language sql stable set search_path = ''
as $$
    select mark.market
    from interlock.market_marks as mark
    where mark.operator_ids_hidden_at > coalesce(
        (select max(other.operator_ids_shown_at) from interlock.market_marks as other) - interval '24 hours', '-infinity'
    )
$$;
comment on function interlock.markets_without_operator_ids() is
    'Markets whose orders showed no operatorId when some were last read, unless other markets have shown '
    'it for a day since.';
