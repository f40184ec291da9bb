create function interlock.broken_rule(p_constraint text, p_column text, p_message text) returns text
language sql immutable parallel safe set search_path = ''
as $$
    select case
        when p_constraint <> '' then format('It breaks the rule "%s".', replace(p_constraint, '_', ' '))
        when p_column <> '' then format('%s must not be empty.', p_column)
        else upper(left(p_message, 1)) || substr(p_message, 2, 300) || '.'
    end
$$;
comment on function interlock.broken_rule(text, text, text) is
    'The sentence for a row that its table refused: the constraint by its name, which is a rule, or the '
    'column that was empty.';
