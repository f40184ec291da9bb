create function interlock.proposal_is_fixed() returns trigger
language plpgsql set search_path = ''
as $$
declare
    v_free text[] := '{status,override_cooldown,override_anti_flip,asset}';
begin
    if to_jsonb(new) - v_free is distinct from to_jsonb(old) - v_free then
        raise exception using
            errcode = 'restrict_violation',
            message = 'a proposal''s content never changes after it is stored',
            hint = 'Decline it and let a scan write another.';
    end if;
    if new.status is distinct from old.status and not coalesce(
        case old.status
            when 'PENDING' then new.status in ('EXECUTING', 'EXECUTED', 'EXPIRED', 'DECLINED')
            when 'EXECUTING' then new.status in ('EXECUTED', 'FAILED')
            when 'FAILED' then new.status in ('EXECUTING', 'EXECUTED')
        end,
        false
    ) then
        raise exception using
            errcode = 'restrict_violation',
            message = format('a proposal never goes from %s to %s', old.status, new.status);
    end if;
    return new;
end
$$;
comment on function interlock.proposal_is_fixed() is
    'Trigger: a proposal''s content is fixed and its status moves forward only; it never returns to PENDING.';

create trigger content_is_fixed_and_status_moves_forward
before update on public.trade_proposals
for each row execute function interlock.proposal_is_fixed();
