"""The model budget: decided under its lock, never exceeded, and never cleared."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.database.acts import at_once, background, until_it_waits
from tests.database.harness import POLICY, Caller, Refused, TestDatabase


def _policy(daily: int, hourly: int | None = None) -> dict[str, Any]:
    limits = {"gpt": {"daily": daily, "hourly": daily if hourly is None else hourly}}
    return {**POLICY, "limits": limits}


def _leases(db: TestDatabase, owners: int, daily: int, hourly: int | None = None) -> list[dict[str, Any]]:
    """Jobs of new owners with this budget, leased just now."""
    for _ in range(owners):
        db.as_user(db.owner(_policy(daily, hourly))).call("schedule_scan")
    jobs: list[dict[str, Any]] = db.as_service().call(
        "claim_due_scan_jobs", p_instance_id="a worker", p_limit=owners
    )
    assert len(jobs) == owners
    return jobs


def _reserve(
    caller: Caller, job: dict[str, Any], reservation: UUID | None = None, most_tokens: int | None = 1
) -> dict[str, Any]:
    answer: dict[str, Any] = caller.call(
        "reserve_gpt_call",
        p_reservation_id=reservation or uuid4(),
        p_scan_job_id=job["id"],
        p_lock_token=job["lock_token"],
        p_purpose="scan_proposal",
        p_model="a-model",
        p_most_tokens=most_tokens,
    )
    return answer


def _settle(
    caller: Caller, reservation: UUID, status: str, tokens: int | None = None, answered: int | None = 0
) -> dict[str, Any]:
    answer: dict[str, Any] = caller.call(
        "log_gpt_usage",
        p_id=reservation,
        p_user_id=None,
        p_scan_job_id=None,
        p_purpose=None,
        p_status=status,
        p_reason=None,
        p_model="a-model",
        p_prompt_tokens=tokens,
        p_completion_tokens=None if tokens is None else answered,
    )
    return answer


def _all_at_once(
    db: TestDatabase, jobs: list[dict[str, Any]], callers: int, calls: int
) -> Counter[str | None]:
    """How often each reason was answered to callers that all ask at once; None for a reserved call."""
    connections = [db.as_service() for _ in range(callers)]

    def ask(caller: Caller, job: dict[str, Any]) -> list[str | None]:
        answers = [_reserve(caller, job) for _ in range(calls)]
        assert all((answer["outcome"] == "reserved") == (answer["reason"] is None) for answer in answers)
        return [answer["reason"] for answer in answers]

    found = at_once(
        [partial(ask, caller, jobs[number % len(jobs)]) for number, caller in enumerate(connections)]
    )
    return Counter(reason for reasons in found for reason in reasons)


def _counted(db: TestDatabase) -> int:
    return int(db.one("select count(*) from public.gpt_usage_log where status = 'RESERVED'"))


@pytest.mark.parametrize(
    ("callers", "calls", "limit"),
    [(16, 4, 25), pytest.param(64, 4, 100, marks=pytest.mark.soak)],
)
def test_concurrent_callers_reserve_exactly_the_limit(
    db: TestDatabase, callers: int, calls: int, limit: int
) -> None:
    """All call at once for one owner: exactly the limit is reserved, and the others are kept as SKIPPED."""
    jobs = _leases(db, 1, limit)

    reasons = _all_at_once(db, jobs, callers, calls)

    assert reasons == {None: limit, "DAILY_BUDGET_EXHAUSTED": callers * calls - limit}
    assert _counted(db) == limit
    skipped = db.rows("select reason, count(*) from public.gpt_usage_log where status = 'SKIPPED' group by 1")
    assert skipped == [("DAILY_BUDGET_EXHAUSTED", callers * calls - limit)]


def test_the_hourly_limit_holds_at_once_and_the_daily_one_is_named_first(db: TestDatabase) -> None:
    """The tighter of two limits decides; where both are used up, the day is what is named."""
    jobs = _leases(db, 1, daily=6, hourly=4)
    assert _all_at_once(db, jobs, 8, 2) == {None: 4, "HOURLY_BUDGET_EXHAUSTED": 12}

    db.advance(timedelta(minutes=60))
    db.do("update public.scan_jobs set lock_expires_at = lock_expires_at + interval '1 hour'")
    assert _all_at_once(db, jobs, 2, 2) == {None: 2, "DAILY_BUDGET_EXHAUSTED": 2}


def test_the_ceiling_over_all_owners_holds_at_once(db: TestDatabase) -> None:
    """Eight owners call at once: together they make exactly as many calls as the controls allow."""
    db.do("update public.trading_controls set max_daily_gpt_calls = 11 where singleton")
    jobs = _leases(db, 8, daily=10)

    reasons = _all_at_once(db, jobs, 8, 4)

    assert reasons == {None: 11, "ACCOUNT_DAILY_CALLS_EXHAUSTED": 21}
    assert _counted(db) == 11


@pytest.mark.parametrize("whose", ["the same owner", "another owner"])
def test_a_reservation_waits_for_the_one_before_it_and_counts_it(
    db: TestDatabase, service: Caller, whose: str
) -> None:
    """Between count and insert nobody else counts: the last call that is left is reserved once."""
    db.do("update public.trading_controls set max_daily_gpt_calls = 1 where singleton")
    first, second = _leases(db, 2, daily=1)
    if whose == "the same owner":
        second = first
    waiting = db.as_service()
    service.connection.execute("begin")
    assert _reserve(service, first)["outcome"] == "reserved"

    with background(partial(_reserve, waiting, second)) as reserving:
        until_it_waits(db, waiting, reserving)
        service.connection.execute("commit")
        answer = reserving.result()

    assert answer["outcome"] == "refused"
    assert _counted(db) == 1


def test_the_ceiling_of_tokens_counts_everybodys_answers(db: TestDatabase, service: Caller) -> None:
    """What one owner's answers used up, another owner cannot spend; a new day begins at zero."""
    db.do("update public.trading_controls set max_daily_gpt_tokens = 1000 where singleton")
    first, second = _leases(db, 2, daily=10)
    reservation = uuid4()
    _reserve(service, first, reservation)
    _settle(service, reservation, "SUCCEEDED", tokens=998)
    assert _reserve(service, second)["outcome"] == "reserved"
    another = uuid4()
    _reserve(service, second, another)
    _settle(service, another, "FAILED", tokens=1)

    refused = [_reserve(service, job) for job in (first, second)]
    assert {answer["reason"] for answer in refused} == {"ACCOUNT_DAILY_TOKENS_EXHAUSTED"}

    db.advance(timedelta(hours=12))
    db.do("update public.scan_jobs set lock_expires_at = lock_expires_at + interval '12 hours'")
    assert _reserve(service, first)["outcome"] == "reserved"


WITHOUT_REPORT = ["RESERVED", "ABANDONED", "FAILED", "SUCCEEDED", "half a report", "0 tokens"]


@pytest.mark.parametrize("fate", WITHOUT_REPORT)
def test_a_call_without_a_report_counts_the_most_it_may_use(
    db: TestDatabase, service: Caller, fate: str
) -> None:
    """Under way, given up, timed out, answered without usage: the ceiling of tokens bounds them all."""
    db.do("update public.trading_controls set max_daily_gpt_tokens = 1000 where singleton")
    (job,) = _leases(db, 1, daily=10)
    reservation = uuid4()
    assert _reserve(service, job, reservation, most_tokens=1000)["outcome"] == "reserved"
    match fate:
        case "ABANDONED":
            db.advance(timedelta(minutes=10))
            assert service.call("cleanup_expired_locks")["abandoned"] == "1"
        case "half a report":
            _settle(service, reservation, "SUCCEEDED", tokens=7, answered=None)
        case "0 tokens":
            _settle(service, reservation, "SUCCEEDED", tokens=0)
        case "FAILED" | "SUCCEEDED":
            _settle(service, reservation, fate)

    assert db.one("select max(tokens_today) from public.model_spend") == 1000
    db.do("update public.scan_jobs set enabled = false")
    (another,) = _leases(db, 1, daily=10)
    assert _reserve(service, another)["reason"] == "ACCOUNT_DAILY_TOKENS_EXHAUSTED"


def test_what_is_reported_replaces_the_most_and_what_was_not_made_counts_nothing(
    db: TestDatabase, service: Caller
) -> None:
    """A report is believed, and an outage of the model gives the tokens back as well."""
    db.do("update public.trading_controls set max_daily_gpt_tokens = 1000 where singleton")
    (job,) = _leases(db, 1, daily=10)
    for status, tokens in (("SUCCEEDED", 400), ("FAILED", 400), ("RELEASED", None), ("SUCCEEDED", 199)):
        reservation = uuid4()
        assert _reserve(service, job, reservation, most_tokens=1000)["outcome"] == "reserved"
        _settle(service, reservation, status, tokens)
    assert db.one("select sum(tokens_used) from public.gpt_usage_log") == 999
    assert _reserve(service, job)["outcome"] == "reserved"
    for wrong in (None, 0, -1, 10**12):
        with pytest.raises(Refused, match="INVALID_RESERVATION"):
            _reserve(service, job, most_tokens=wrong)


def test_a_repeat_reserves_nothing_twice(db: TestDatabase, service: Caller) -> None:
    """The same reservation again, by eight at once, is one row and one call of the budget."""
    (job,) = _leases(db, 1, daily=2)
    reservation = uuid4()
    callers = [db.as_service() for _ in range(8)]

    answers = at_once([partial(_reserve, caller, job, reservation) for caller in callers])

    assert {answer["outcome"] for answer in answers} == {"reserved"}
    assert _counted(db) == 1
    assert _reserve(service, job)["outcome"] == "reserved"
    refused = uuid4()
    twice = [_reserve(service, job, refused) for _ in range(2)]
    assert [answer["reason"] for answer in twice] == ["DAILY_BUDGET_EXHAUSTED"] * 2
    assert db.one("select count(*) from public.gpt_usage_log") == 3


def test_a_settled_reservation_is_no_second_call(db: TestDatabase, service: Caller) -> None:
    """One reservation is one call: asked for again after its end, it is refused."""
    (job,) = _leases(db, 1, daily=5)
    for status in ("SUCCEEDED", "FAILED", "RELEASED"):
        reservation = uuid4()
        _reserve(service, job, reservation)
        _settle(service, reservation, status, None if status == "RELEASED" else 5)

        again = _reserve(service, job, reservation)

        assert (again["outcome"], again["reason"]) == ("refused", "ALREADY_SETTLED")


def test_a_reservation_belongs_to_its_job(db: TestDatabase, service: Caller) -> None:
    """Nobody calls on another job's reservation."""
    first, second = _leases(db, 2, daily=5)
    reservation = uuid4()
    _reserve(service, first, reservation)

    with pytest.raises(Refused, match="INVALID_RESERVATION"):
        _reserve(service, second, reservation)


def test_a_late_answer_keeps_its_tokens(db: TestDatabase, service: Caller) -> None:
    """A call that was given up counts all the same, and so do its tokens once the answer has come."""
    for status in ("SUCCEEDED", "FAILED"):
        (job,) = _leases(db, 1, daily=5)
        reservation = uuid4()
        _reserve(service, job, reservation)
        db.advance(timedelta(minutes=10) - timedelta(milliseconds=1))
        assert service.call("cleanup_expired_locks")["abandoned"] == "0"
        db.advance(timedelta(milliseconds=1))
        assert service.call("cleanup_expired_locks")["abandoned"] == "1"
        assert _used(service, job) == "1"
        assert _settle(service, reservation, "RELEASED")["outcome"] == "unchanged"

        late = _settle(service, reservation, status, tokens=321)
        again = _settle(service, reservation, "FAILED" if status == "SUCCEEDED" else "SUCCEEDED", tokens=9)

        assert (late["outcome"], late["usage"]["tokens_used"]) == ("logged", "321")
        assert (again["outcome"], again["usage"]["status"]) == ("unchanged", status)
        assert _used(service, job) == "1"
        db.do("update public.scan_jobs set enabled = false")


def test_a_call_that_was_not_made_counts_nothing(db: TestDatabase, service: Caller) -> None:
    """An outage of the model gives the call back to the budget; a refusal never took one."""
    (job,) = _leases(db, 1, daily=1)
    reservation = uuid4()
    _reserve(service, job, reservation)
    assert _reserve(service, job)["outcome"] == "refused"
    _settle(service, reservation, "RELEASED")
    assert _used(service, job) == "0"
    assert _reserve(service, job)["outcome"] == "reserved"


def test_nothing_clears_usage(db: TestDatabase, service: Caller) -> None:
    """Also for the owner of the schema: no call is deleted, undone, moved to another day or made cheaper."""
    (job,) = _leases(db, 1, daily=5)
    settled = uuid4()
    _reserve(service, job, settled)
    _settle(service, settled, "SUCCEEDED", tokens=10)
    _reserve(service, job)
    for statement in (
        "delete from public.gpt_usage_log",
        "truncate public.gpt_usage_log",
        "update public.gpt_usage_log set status = 'RELEASED' where status = 'SUCCEEDED'",
        "update public.gpt_usage_log set status = 'SKIPPED' where status = 'RESERVED'",
        "update public.gpt_usage_log set tokens_used = 0",
        "update public.gpt_usage_log set most_tokens = 0",
        "update public.gpt_usage_log set created_at = created_at - interval '1 day'",
        "update public.gpt_usage_log set user_id = gen_random_uuid()",
    ):
        with pytest.raises(psycopg.errors.IntegrityError):
            db.do(statement)


def _used(caller: Caller, job: dict[str, Any]) -> str:
    answer = caller.call("check_gpt_budget", p_user_id=job["user_id"], p_daily=5, p_hourly=5)
    used: str = answer["daily_used"]
    return used
