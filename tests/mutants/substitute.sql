-- Before every mutant: a function is changed where its own source says so, or the mutant does not apply.

create function pg_temp.substitute(p_function text, p_old text, p_new text) returns void
language plpgsql
as $$
declare
    v_definition text := pg_catalog.pg_get_functiondef(p_function::regproc);
begin
    if (length(v_definition) - length(replace(v_definition, p_old, ''))) / length(p_old) <> 1 then
        raise exception '% does not hold this text exactly once: %', p_function, p_old;
    end if;
    execute replace(v_definition, p_old, p_new);
end
$$;
