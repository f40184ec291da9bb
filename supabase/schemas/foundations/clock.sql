create function interlock.clock() returns timestamptz
language sql volatile set search_path = ''
as 'select clock_timestamp()';
comment on function interlock.clock() is
    'The only clock that any SQL of Interlock reads. Read once in a call, after its last lock. Tests '
    'replace this one function.';
