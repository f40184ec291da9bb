create function interlock.execution_id(p_proposal_id uuid) returns uuid
language sql immutable strict parallel safe set search_path = ''
as $$
    select extensions.uuid_generate_v5('7f0c1d8e-5a3b-5c1e-9a64-1b2f3c4d5e6f'::uuid, p_proposal_id::text)
$$;
comment on function interlock.execution_id(uuid) is
    'The id of a proposal''s one execution, which is also its clientOrderId at the exchange: uuid v5 of '
    'the proposal id as lower-case text. Anyone can compute it, even if the row were lost.';
