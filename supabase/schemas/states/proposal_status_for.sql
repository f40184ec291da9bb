create function interlock.proposal_status_for(p_execution_status text) returns text
language sql immutable strict parallel safe set search_path = ''
as $$
    select case
        when p_execution_status in ('CLAIMED', 'UNKNOWN') then 'EXECUTING'
        when p_execution_status in ('REJECTED', 'NOT_PLACED') then 'FAILED'
        else 'EXECUTED'
    end
$$;
comment on function interlock.proposal_status_for(text) is
    'The status of a proposal whose execution has this status.';
