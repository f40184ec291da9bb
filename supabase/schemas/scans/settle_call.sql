create function interlock.settle_call(
    p_id uuid, p_status text, p_reason text, p_model text, p_prompt_tokens bigint, p_completion_tokens bigint, p_now timestamptz
) returns public.gpt_usage_log
language plpgsql volatile set search_path = ''
as $$
declare
    v_call public.gpt_usage_log;
begin
    select * into v_call from public.gpt_usage_log as call where call.id = p_id for update;
    if not found then
        raise sqlstate 'PT404' using message = 'RESERVATION_NOT_FOUND', detail = 'There is no such reservation.';
    end if;
    -- GUARD: settled is settled; a repeat changes nothing.
    if not (v_call.status = 'RESERVED' or (v_call.status = 'ABANDONED' and p_status in ('SUCCEEDED', 'FAILED'))) then
        return v_call;
    end if;
    update public.gpt_usage_log
    set
        status = p_status,
        success = p_status = 'SUCCEEDED',
        reason = left(p_reason, 1000),
        model = coalesce(left(p_model, 200), v_call.model),
        prompt_tokens = case p_status when 'RELEASED' then 0 else coalesce(p_prompt_tokens, 0) end,
        completion_tokens = case p_status when 'RELEASED' then 0 else coalesce(p_completion_tokens, 0) end,
        tokens_used = case
            when p_status = 'RELEASED' then 0
            -- GUARD: a report of half or of nothing is no report; who was asked may have worked as much as it was let.
            when p_prompt_tokens > 0 and p_completion_tokens is not null then p_prompt_tokens + p_completion_tokens
            else greatest(v_call.most_tokens, coalesce(p_prompt_tokens, 0) + coalesce(p_completion_tokens, 0))
        end,
        settled_at = p_now
    where id = p_id
    returning * into v_call;
    return v_call;
end
$$;
comment on function interlock.settle_call(uuid, text, text, text, bigint, bigint, timestamptz) is
    'Settles a reservation, whoever holds the job now: tokens were spent all the same, the most that it '
    'may use where no report says how many.';
