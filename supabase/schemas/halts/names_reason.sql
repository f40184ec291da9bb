create function interlock.names_reason(p_standing text, p_reason text) returns boolean
language sql immutable strict parallel safe set search_path = ''
as $$ select position('; ' || p_reason || '; ' in '; ' || p_standing || '; ') > 0 $$;
comment on function interlock.names_reason(text, text) is
    'Is this among the reasons for which a state stands?';
