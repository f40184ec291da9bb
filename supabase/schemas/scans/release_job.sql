-- Finish

create function interlock.release_job(
    p_job public.scan_jobs, p_minutes numeric, p_failed boolean, p_error text, p_ran boolean, p_outcome text,
    p_now timestamptz
) returns public.scan_jobs
language plpgsql volatile set search_path = ''
as $$
declare
    c_most_failures constant integer := 10;
    -- Up to a twentieth and a minute later, so that jobs that failed or were made together do not wake together.
    v_jitter numeric := least(60, p_minutes * 60 / 20) * (abs(hashtext(p_job.lock_token::text)) % 1000) / 1000;
    v_failures integer := case when p_failed then p_job.consecutive_failures + 1 when p_ran then 0 else p_job.consecutive_failures end;
    v_job public.scan_jobs;
begin
    update public.scan_jobs
    set
        locked_at = null,
        locked_by = null,
        lock_expires_at = null,
        lock_token = null,
        finished_token = p_job.lock_token,
        last_outcome = left(p_outcome, 1000),
        next_run_at = p_now + make_interval(secs => (p_minutes * 60 + v_jitter)::double precision),
        last_run_at = case when p_ran then p_now else last_run_at end,
        consecutive_failures = v_failures,
        last_error = case
            when v_failures >= c_most_failures then left(format('disabled after %s failures in a row; the last: %s', v_failures, p_error), 1000)
            else left(p_error, 1000)
        end
    where id = p_job.id
    returning * into v_job;
    -- By itself: a change of enabled is audited, and costs more than all the rest.
    if v_failures >= c_most_failures then
        update public.scan_jobs set enabled = false where id = p_job.id returning * into v_job;
    end if;
    return v_job;
end
$$;
comment on function interlock.release_job(public.scan_jobs, numeric, boolean, text, boolean, text, timestamptz) is
    'Ends a lease and says what came of it and when the job runs next. Ten failures in a row disable it.';
