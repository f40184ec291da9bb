create function interlock.act_as(p_actor text) returns void
language sql volatile set search_path = ''
as $$ select set_config('interlock.actor', p_actor, true) $$;
comment on function interlock.act_as(text) is 'Names the actor of this transaction for the audit.';
