create function interlock.reasons(p_standing text, p_new text) returns text
language sql immutable strict parallel safe set search_path = ''
as $$
    select case
        when starts_with(p_new, p_standing) then p_new
        when p_new = '' or interlock.names_reason(p_standing, p_new) then p_standing
        when length(p_standing) <= 3400 then p_standing || '; ' || left(p_new, 500)
        else left(p_standing, 3400) || '… (all are in audit_events); ' || left(p_new, 500)
    end
$$;
comment on function interlock.reasons(text, text) is
    'The reasons for which a state stands, and a new one: each once. Of very many the first ones and the '
    'last.';
