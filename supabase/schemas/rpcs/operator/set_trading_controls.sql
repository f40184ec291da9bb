create function public.set_trading_controls(p_changes jsonb, p_version bigint default null) returns jsonb
language plpgsql volatile security definer set search_path = '' set timezone = 'UTC'
as $$
declare
    c_fields constant text[] := '{trading_state,reason,mode,operator_id,trade_key_fingerprint,account_is_dedicated,max_order_eur,max_daily_value_eur,max_daily_gpt_calls,max_daily_gpt_tokens}';
    v_old public.trading_controls;
    v_new public.trading_controls;
    v_unknown text;
    v_tightens boolean;
    v_rule text;
    v_column text;
begin
    if jsonb_typeof(p_changes) is distinct from 'object' or p_changes = '{}' then
        raise sqlstate 'PT400' using message = 'INVALID_CONTROLS', detail = 'Name the controls to change, as an object.';
    end if;
    select min(field) into v_unknown from jsonb_object_keys(p_changes) as field where field <> all (c_fields);
    if v_unknown is not null then
        raise sqlstate 'PT400' using
            message = 'INVALID_CONTROLS', detail = format('%s is not a control that can be set.', left(v_unknown, 60));
    end if;
    select min(field.key) into v_unknown
    from jsonb_each(p_changes) as field
    where jsonb_typeof(field.value) not in (
        'string', 'number', 'null', case field.key when 'account_is_dedicated' then 'boolean' else 'string' end
    );
    if v_unknown is not null then
        raise sqlstate 'PT400' using message = 'INVALID_CONTROLS', detail = format('%s is a text or a number.', v_unknown);
    end if;
    perform interlock.act_as('operator');
    perform pg_advisory_xact_lock(interlock.lock_class('global gate'), 0);
    select * into strict v_old from public.trading_controls where singleton for update;
    begin
        v_new := jsonb_populate_record(v_old, p_changes);
        v_tightens := interlock.strictness(v_new.trading_state) >= interlock.strictness(v_old.trading_state)
            and p_changes - '{trading_state,reason}'::text[] = '{}';
        if not v_tightens and p_version is distinct from v_old.version then
            raise sqlstate 'PT409' using
                message = 'STALE_VERSION',
                detail = format('This change needs the current version, %s: look at what changed first.', v_old.version);
        end if;
        update public.trading_controls
        set
            trading_state = v_new.trading_state,
            reason = v_new.reason,
            mode = v_new.mode,
            operator_id = v_new.operator_id,
            trade_key_fingerprint = v_new.trade_key_fingerprint,
            account_is_dedicated = v_new.account_is_dedicated,
            max_order_eur = v_new.max_order_eur,
            max_daily_value_eur = v_new.max_daily_value_eur,
            max_daily_gpt_calls = v_new.max_daily_gpt_calls,
            max_daily_gpt_tokens = v_new.max_daily_gpt_tokens,
            version = v_old.version + 1
        where singleton;
    exception
        when data_exception or integrity_constraint_violation then
            get stacked diagnostics v_rule = constraint_name, v_column = column_name;
            raise sqlstate 'PT400' using
                message = 'INVALID_CONTROLS', detail = interlock.broken_rule(v_rule, v_column, sqlerrm);
    end;
    return interlock.controls_json();
end
$$;
comment on function public.set_trading_controls(jsonb, bigint) is
    'The operator changes the controls. Tightening the state ignores the version; every other change '
    'needs the current one.';
