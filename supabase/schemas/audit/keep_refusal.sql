create function interlock.keep_refusal(
    p_user_id uuid, p_proposal_id uuid, p_checks jsonb, p_before text, p_attempt_id uuid, p_now timestamptz
) returns void
language plpgsql volatile set search_path = ''
as $$
declare
    c_recent constant integer := 5; -- as many as an automatic halt counts
    v_event uuid := gen_random_uuid();
begin
    with kept as (
        insert into public.trade_refusals as known (proposal_id, user_id, verdicts, clock_skew, recent_at, event_id)
        values (
            p_proposal_id, p_user_id,
            (
                select interlock.digest(jsonb_build_array(p_before, jsonb_agg(verdict.value - 'facts'))::text)
                from jsonb_array_elements(p_checks) as verdict
                where verdict.value ->> 'verdict' not in ('PASSED', 'NOT_APPLICABLE')
            ),
            p_checks @> '[{"code": "CLOCK_SKEW"}]', array[p_now], v_event
        )
        on conflict (proposal_id, verdicts) do update
        set times = known.times + 1, recent_at = (p_now || known.recent_at)[:c_recent]
        returning known.event_id
    )
    insert into public.audit_events (id, user_id, proposal_id, actor, event, detail)
    select
        v_event, p_user_id, p_proposal_id, interlock.actor(), 'EXECUTION_REFUSED',
        jsonb_strip_nulls(jsonb_build_object('before', p_before, 'attempt_id', p_attempt_id)) || jsonb_build_object('checks', p_checks)
    from kept
    -- GUARD: the same checks again are counted, whatever their number; any other refusal is an event of its own.
    where kept.event_id = v_event;
end
$$;
comment on function interlock.keep_refusal(uuid, uuid, jsonb, text, uuid, timestamptz) is
    'Keeps a refused approval: as an audit event when these checks refuse it for the first time, else as '
    'one more of that.';
