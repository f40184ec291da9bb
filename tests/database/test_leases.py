"""Scan jobs: one holder at a time, and only the lease's own token writes."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.database.acts import at_once, background, claimed, failed_codes, many_due, until_it_waits
from tests.database.harness import POLICY, Caller, Refused, TestDatabase, open_trading, order, record

_LEASE = timedelta(minutes=2)
_SPREAD = timedelta(minutes=1)
"""At most so much later than asked for a job runs, so that jobs do not wake together."""

_BEGIN = (
    "p_user_id",
    "p_proposal_id",
    "p_mode",
    "p_operator_id",
    "p_trade_key_fingerprint",
    "p_override_cooldown",
    "p_override_anti_flip",
)


@pytest.fixture
def owner(db: TestDatabase) -> UUID:
    """An owner whose scan is due."""
    return _scanned(db)


def _scanned(db: TestDatabase) -> UUID:
    owner = db.owner({**POLICY, "scan_interval_minutes": 45})
    db.as_user(owner).call("schedule_scan")
    return owner


def _lease(caller: Caller, worker: str = "a worker") -> dict[str, Any]:
    (job,) = caller.call("claim_due_scan_jobs", p_instance_id=worker)
    leased: dict[str, Any] = job
    return leased


def _reserve(caller: Caller, job: dict[str, Any], reservation: UUID | None = None) -> dict[str, Any]:
    answer: dict[str, Any] = caller.call(
        "reserve_gpt_call",
        p_reservation_id=reservation or uuid4(),
        p_scan_job_id=job["id"],
        p_lock_token=job["lock_token"],
        p_purpose="scan_proposal",
        p_model="a-model",
        p_most_tokens=10_000,
    )
    return answer


def _finish(caller: Caller, job: dict[str, Any], outcome: str = "held", **changed: object) -> dict[str, Any]:
    parameters: dict[str, object] = {
        "p_scan_job_id": job["id"],
        "p_lock_token": job["lock_token"],
        "p_outcome": outcome,
        "p_reason": None if outcome in ("held", "proposed") else "a reason",
        "p_usage": [],
        "p_proposal": _proposal() if outcome == "proposed" else None,
        "p_policy_hash": job["policy_hash"],
    }
    answer: dict[str, Any] = caller.call("finish_scan", **(parameters | changed))
    return answer


def _proposal() -> dict[str, object]:
    return {
        "id": str(uuid4()),
        "market": "BTC-EUR",
        "side": "buy",
        "order_type": "market",
        "amount": None,
        "amount_quote": "10.00",
        "limit_price": None,
        "reference_price": "50000",
        "confidence": "80",
        "rationale": "for a test",
        "model": "a-model",
        "prompt_version": "1",
        "input_hash": "0" * 64,
        "market_snapshot": {},
        "clamped": None,
    }


def _job(db: TestDatabase, owner: UUID) -> dict[str, Any]:
    row: dict[str, Any] = db.one(
        "select to_jsonb(job) from public.scan_jobs as job where user_id = %s", owner
    )
    return row


def _next_run(db: TestDatabase) -> datetime:
    at: datetime = db.one("select next_run_at from public.scan_jobs")
    return at


def test_two_workers_never_share_a_job(db: TestDatabase) -> None:
    """Eight workers at once over 40 due jobs: each job is leased once, under a token of its own."""
    many_due(db, 40)
    callers = [db.as_service() for _ in range(8)]

    def work(caller: Caller) -> list[dict[str, Any]]:
        leased: list[dict[str, Any]] = []
        while jobs := caller.call("claim_due_scan_jobs", p_instance_id=f"worker {id(caller)}", p_limit=3):
            leased += jobs
        return leased

    leased = [job for jobs in at_once([partial(work, caller) for caller in callers]) for job in jobs]

    assert (
        len(leased) == len({job["id"] for job in leased}) == len({job["lock_token"] for job in leased}) == 40
    )


def test_a_held_job_is_passed_over_and_an_expired_lease_is_taken_at_once(
    db: TestDatabase, service: Caller, owner: UUID
) -> None:
    """No moment before its lease ends, and in that moment; the crash counts as a failure of the job."""
    _lease(service, "the one that crashes")
    db.advance(_LEASE - timedelta(milliseconds=1))
    assert service.call("claim_due_scan_jobs", p_instance_id="a rescuer") == []
    db.advance(timedelta(milliseconds=1))

    rescued = _lease(service, "a rescuer")

    assert (rescued["user_id"], rescued["lost_worker"]) == (str(owner), "the one that crashes")
    job = _job(db, owner)
    assert (job["locked_by"], job["consecutive_failures"]) == ("a rescuer", 1)
    assert "the one that crashes did not finish" in job["last_error"]


def test_whoever_lost_the_lease_writes_nothing_but_the_tokens_that_were_spent(
    db: TestDatabase, service: Caller, owner: UUID
) -> None:
    """A worker that wakes up late reserves, stores and releases nothing; what it spent is counted."""
    stalled = _lease(service, "stalled")
    reservation = uuid4()
    _reserve(service, stalled, reservation)
    db.advance(_LEASE)
    rescuer = _lease(service, "rescuer")
    held = _job(db, owner)

    assert _reserve(service, stalled)["outcome"] == "lease_lost"
    late = _finish(
        service,
        stalled,
        "proposed",
        p_usage=[
            {"id": str(reservation), "status": "SUCCEEDED", "prompt_tokens": "7", "completion_tokens": "5"}
        ],
    )
    released = service.call(
        "release_job_lock",
        p_scan_job_id=stalled["id"],
        p_lock_token=stalled["lock_token"],
        p_minutes=0,
        p_error="late",
    )

    assert (late["outcome"], late["proposal"], released["outcome"]) == ("lease_lost", None, "lease_lost")
    assert _job(db, owner) == held
    assert db.one("select count(*) from public.trade_proposals") == 0
    assert db.rows("select status, tokens_used from public.gpt_usage_log") == [("SUCCEEDED", 12)]
    assert _finish(service, rescuer, "proposed")["outcome"] == "finished"
    assert db.one("select count(*) from public.trade_proposals") == 1


def test_an_answer_that_outlived_its_lease_proposes_nothing(
    db: TestDatabase, service: Caller, owner: UUID
) -> None:
    """Although nobody has taken the job yet: the tokens are kept, and the job counts the lease as lost."""
    job, reservation = _lease(service), uuid4()
    _reserve(service, job, reservation)
    db.advance(_LEASE)
    used = {"id": str(reservation), "status": "SUCCEEDED", "prompt_tokens": "7", "completion_tokens": "5"}

    late = _finish(service, job, "proposed", p_usage=[used])

    assert (late["outcome"], late["proposal"]) == ("lease_lost", None)
    assert db.one("select count(*) from public.trade_proposals") == 0
    assert db.rows("select status, tokens_used from public.gpt_usage_log") == [("SUCCEEDED", 12)]
    _lease(service, "the next")
    assert _job(db, owner)["consecutive_failures"] == 1


def test_a_rescuer_is_fenced_too(db: TestDatabase, service: Caller, owner: UUID) -> None:
    """Three holders, two of them stalled: the last one alone finishes."""
    holders = []
    for worker in ("first", "second", "third"):
        db.advance(_LEASE)
        holders.append(_lease(service, worker))
    outcomes = [_finish(service, job)["outcome"] for job in holders]

    assert outcomes == ["lease_lost", "lease_lost", "finished"]
    assert _job(db, owner)["consecutive_failures"] == 0


def test_cleanup_takes_an_expired_lease_away(db: TestDatabase, service: Caller, owner: UUID) -> None:
    """The job is due again at once, the crash is counted and audited, and its worker is fenced."""
    stalled = _lease(service)
    assert service.call("cleanup_expired_locks")["released"] == "0"
    db.advance(_LEASE)

    assert service.call("cleanup_expired_locks")["released"] == "1"

    job = _job(db, owner)
    assert (job["locked_by"], job["consecutive_failures"]) == (None, 1)
    assert _finish(service, stalled)["outcome"] == "lease_lost"
    assert _reserve(service, stalled)["outcome"] == "lease_lost"
    assert _lease(service, "the next")["user_id"] == str(owner)


def test_a_reservation_needs_a_lease_that_still_runs(db: TestDatabase, service: Caller, owner: UUID) -> None:
    """An expired lease buys no call, although nobody has taken the job yet."""
    job = _lease(service)
    assert _reserve(service, job)["outcome"] == "reserved"
    db.advance(_LEASE)

    assert _reserve(service, job)["outcome"] == "lease_lost"
    assert db.one("select count(*) from public.gpt_usage_log") == 1
    assert owner


@pytest.mark.parametrize("how", ["reported", "taken over", "cleaned up"])
def test_ten_failures_in_a_row_disable_a_job_visibly(
    db: TestDatabase, service: Caller, owner: UUID, how: str
) -> None:
    """Reported failures and crashes count alike; the owner sees why and switches it on again."""
    for _ in range(10):
        job = _job(db, owner)
        assert job["enabled"], job
        db.set_clock(max(db.now, _next_run(db)))
        leased = _lease(service)
        if how == "reported":
            _finish(service, leased, "failed", p_reason="no answer")
        else:
            db.advance(_LEASE)
            if how == "cleaned up":
                service.call("cleanup_expired_locks")
    if how == "taken over":
        assert service.call("claim_due_scan_jobs", p_instance_id="a worker") == []

    job = _job(db, owner)
    assert (job["enabled"], job["consecutive_failures"], job["locked_by"]) == (False, 10, None)
    assert job["last_error"].startswith("disabled after")
    assert db.one("select count(*) from public.audit_events where event = 'SCAN_DISABLED'") == 1

    again = db.as_user(owner).call("schedule_scan")
    assert (again["enabled"], again["consecutive_failures"], again["last_error"]) == (True, "0", None)
    assert _lease(service)["id"] == job["id"]


@pytest.mark.parametrize("failures", [10, 3])
def test_a_job_that_is_switched_on_by_hand_is_scanned_and_begins_without_failures(
    db: TestDatabase, service: Caller, owner: UUID, failures: int
) -> None:
    """In the dashboard as by schedule_scan: whoever claims it next gets it, and it has ten tries again."""
    db.do(
        "update public.scan_jobs set enabled = false, consecutive_failures = %s, last_error = 'broken'",
        failures,
    )

    db.do("update public.scan_jobs set enabled = true")

    job = _job(db, owner)
    assert (job["consecutive_failures"], job["last_error"]) == (0, None)
    leased = _lease(service)
    assert leased["id"] == job["id"]
    _finish(service, leased, "failed", p_reason="no answer")
    job = _job(db, owner)
    assert (job["enabled"], job["consecutive_failures"]) == (True, 1)


def test_what_a_claim_locks_it_hands_out_or_switches_off(
    db: TestDatabase, service: Caller, owner: UUID
) -> None:
    """However many failures somebody wrote into an enabled job: no lock is left that nobody holds."""
    db.do("update public.scan_jobs set consecutive_failures = 10")

    leased = _lease(service)

    assert _finish(service, leased)["outcome"] == "finished"
    job = _job(db, owner)
    assert (job["enabled"], job["consecutive_failures"], job["locked_by"]) == (True, 0, None)


def test_two_calls_that_switch_a_scan_make_one_job(db: TestDatabase) -> None:
    """The second waits for the first and finds its job, whether it is switched on or off."""
    for enabled in (True, False):
        owner = db.owner()
        first, second = db.as_user(owner), db.as_user(owner)
        first.connection.execute("begin")
        made = first.call("schedule_scan", p_enabled=enabled)

        with background(partial(second.call, "schedule_scan", p_enabled=enabled)) as switching:
            until_it_waits(db, second, switching)
            first.connection.execute("commit")
            assert switching.result()["id"] == made["id"]

        assert db.one("select count(*) from public.scan_jobs where user_id = %s", owner) == 1


def test_the_outcome_decides_when_a_job_runs_next_and_what_counts_as_a_failure(
    db: TestDatabase, service: Caller, owner: UUID
) -> None:
    """A success ends a row of failures; an outage or an empty budget is nobody's failure."""
    for outcome, minutes, failures in (
        ("proposed", 45, 0),
        ("held", 45, 0),
        ("budget_exhausted", 30, 3),
        ("outage", 60, 3),
        ("failed", 60, 4),
    ):
        db.do("update public.scan_jobs set consecutive_failures = 3 where user_id = %s", owner)

        _finish(service, _lease(service), outcome)

        job = _job(db, owner)
        assert (outcome, job["consecutive_failures"], job["lock_token"]) == (outcome, failures, None)
        ran = job["last_run_at"] is not None and datetime.fromisoformat(job["last_run_at"]) == db.now
        assert ran == (outcome in ("proposed", "held")), outcome
        wait = _next_run(db) - db.now - timedelta(minutes=minutes)
        assert timedelta(0) <= wait <= _SPREAD, outcome
        db.set_clock(_next_run(db))


@pytest.mark.parametrize("halted", ["owner", "everybody"])
def test_jobs_of_halted_owners_go_round_unrun(
    db: TestDatabase, service: Caller, owner: UUID, halted: str
) -> None:
    """A halt costs no model call; the job is due again after its interval, without a failure."""
    if halted == "owner":
        db.as_user(owner).call("set_trading_state", p_state="HALTED")
    else:
        service.call("halt_trading", p_reason="a test")

    assert service.call("claim_due_scan_jobs", p_instance_id="a worker") == []

    job = _job(db, owner)
    assert (job["consecutive_failures"], job["locked_by"], job["last_run_at"]) == (0, None, None)
    assert _next_run(db) == db.now + timedelta(minutes=45)


def test_no_job_of_a_halted_owner_is_leased_however_many_there_are(db: TestDatabase, service: Caller) -> None:
    """While trading is halted, a worker gets nothing although 130 jobs are due at once."""
    many_due(db, 130)
    service.call("halt_trading", p_reason="a test")

    for _ in range(2):
        assert service.call("claim_due_scan_jobs", p_instance_id="a worker", p_limit=100) == []
    assert db.one("select count(*) from public.scan_jobs where next_run_at <= interlock.clock()") == 0


_SIZES = {"order": {"min_eur": "8", "max_eur": "20"}}
_ASKED = {**POLICY, "limits": _SIZES}
_ALL = {"BTC-EUR", "ETH-EUR"}


def _daily(**limits: object) -> dict[str, Any]:
    return {**_ASKED, "limits": _SIZES | {"daily": limits}}


_BLOCKED: list[tuple[dict[str, Any], dict[str, str], str, str | None, set[str]]] = [
    (_ASKED, {}, "filled", None, set()),
    (_ASKED | {"cooldown_minutes": 15}, {}, "filled", "COOLDOWN_ACTIVE", {"BTC-EUR"}),
    (_ASKED | {"cooldown_minutes": 10}, {}, "filled", None, set()),
    (_ASKED | {"anti_flip_minutes": 60}, {}, "filled", None, set()),
    (_daily(trades=1), {}, "filled", "DAILY_TRADES_EXHAUSTED", _ALL),
    (_daily(trades=2), {}, "filled", None, set()),
    (_daily(value_eur="17.9"), {}, "filled", "DAILY_VALUE_EXHAUSTED", _ALL),
    (_daily(value_eur="18"), {}, "filled", None, set()),
    (_ASKED, {"max_daily_value_eur": "17.9"}, "filled", "ACCOUNT_LIMIT_EXHAUSTED", _ALL),
    (_ASKED, {"max_daily_value_eur": "18"}, "filled", None, set()),
    (_ASKED, {"max_order_eur": "7.99"}, "", "ACCOUNT_LIMIT_EXHAUSTED", _ALL),
    (_ASKED, {"max_order_eur": "8"}, "", None, set()),
    (_ASKED, {}, "claimed", "UNSETTLED_EXECUTION", {"BTC-EUR"}),
]
"""Policy, ceilings, what became of a buy ten minutes ago: why nothing would pass, and where."""


def test_a_job_brings_the_markets_in_which_no_order_would_pass(db: TestDatabase, service: Caller) -> None:
    """The scan need not ask about them; and what it is told is what the checks of an approval say."""
    for policy, ceilings, earlier, code, blocked in _BLOCKED:
        db.advance(timedelta(days=1))
        open_trading(db)
        owner = db.owner(policy)
        themselves = db.as_user(owner)
        themselves.call("schedule_scan")
        if earlier:
            execution = claimed(db, service, owner)
            if earlier == "filled":
                record(service, execution, "placed", p_order=order(execution))
            db.advance(timedelta(minutes=10))
        if ceilings:
            version = db.one("select version from public.trading_controls")
            service.call("set_trading_controls", p_changes=ceilings, p_version=version)

        told = _lease(service)["blocked"]

        case = (policy, ceilings, earlier)
        assert {market: each["code"] for market, each in told.items()} == dict.fromkeys(blocked, code), case
        for market in _ALL:
            least = db.proposal(owner, market=market, amount_quote=Decimal(8))
            asked = db.claim_parameters(owner, least)
            answer = service.call("begin_execution", **{name: asked[name] for name in _BEGIN})
            assert failed_codes(answer) == ({code} if market in blocked else set()), case
        if code == "COOLDOWN_ACTIVE":
            until = datetime.fromisoformat(told["BTC-EUR"]["until"])
            assert until == db.now + timedelta(minutes=5)
        themselves.call("schedule_scan", p_enabled=False)


def test_jobs_that_may_not_run_stand_in_nobodys_way(db: TestDatabase, service: Caller, owner: UUID) -> None:
    """Halted, without a policy, or no owner, and due the longest: the claim is as full as without them."""
    db.advance(timedelta(seconds=1))
    waiting = {str(_scanned(db)) for _ in range(2)}
    db.as_user(owner).call("set_trading_state", p_state="HALTED")
    without_policy, no_owner = db.user(), db.user()
    db.do("insert into public.trading_owners (user_id) values (%s)", without_policy)
    db.do(
        """
        insert into public.scan_jobs (user_id, enabled, next_run_at)
        select unnest(%s), true, next_run_at from public.scan_jobs where user_id = %s
        """,
        [without_policy, no_owner],
        owner,
    )

    leased = service.call("claim_due_scan_jobs", p_instance_id="a worker", p_limit=2)

    assert {job["user_id"] for job in leased} == waiting
    went_round = db.rows("select user_id from public.scan_jobs where next_run_at > interlock.clock()")
    assert set(went_round) == {(owner,), (without_policy,)}


def test_a_job_ends_with_its_owner(db: TestDatabase, service: Caller, owner: UUID) -> None:
    """Who is no owner any more is not scanned for, and a scan under way can reserve no call."""
    job = _lease(service)
    db.do("delete from public.trading_owners where user_id = %s", owner)

    refused = _reserve(service, job)

    assert (refused["outcome"], refused["reason"]) == ("refused", "NOT_AN_OWNER")
    db.advance(_LEASE)
    assert service.call("claim_due_scan_jobs", p_instance_id="a worker") == []
    assert _job(db, owner)["enabled"] is False


def test_a_proposal_of_another_policy_is_not_stored(db: TestDatabase, service: Caller, owner: UUID) -> None:
    """The policy changed during the scan: nothing is proposed, and the job is due again at once."""
    job = _lease(service)
    db.as_user(owner).call("set_trading_policy", p_policy={**POLICY, "min_confidence": 99})

    answer = _finish(service, job, "proposed")

    assert (answer["outcome"], answer["proposal"]) == ("policy_changed", None)
    assert db.one("select count(*) from public.trade_proposals") == 0
    assert _job(db, owner)["last_outcome"] == "policy_changed"
    again = _lease(service)
    assert (again["id"], again["policy"]["min_confidence"]) == (job["id"], 99)


def test_a_reservation_that_was_never_made_is_released_all_the_same(
    db: TestDatabase, service: Caller, owner: UUID
) -> None:
    """Whoever heard no answer may give the call back; a call that was made has to have been reserved."""
    job = _lease(service)
    unheard = {"id": str(uuid4()), "status": "RELEASED"}

    with pytest.raises(Refused, match="RESERVATION_NOT_FOUND"):
        _finish(service, job, "outage", p_usage=[unheard | {"status": "SUCCEEDED"}])

    assert _finish(service, job, "outage", p_usage=[unheard])["outcome"] == "finished"
    assert db.one("select count(*) from public.gpt_usage_log") == 0
    assert _job(db, owner)["locked_by"] is None


def test_a_repeated_finish_stores_nothing_twice(db: TestDatabase, service: Caller, owner: UUID) -> None:
    """A lost answer is asked for again and is answered with the proposal that was stored."""
    job = _lease(service)
    reservation, proposal = uuid4(), _proposal()
    _reserve(service, job, reservation)
    usage = [{"id": str(reservation), "status": "SUCCEEDED", "prompt_tokens": "3", "completion_tokens": "4"}]
    first = _finish(service, job, "proposed", p_proposal=proposal, p_usage=usage)
    db.advance(timedelta(seconds=5))

    again = _finish(service, job, "proposed", p_proposal=proposal, p_usage=usage)

    assert (first["outcome"], again["outcome"]) == ("finished", "already_finished")
    assert again["proposal"] == first["proposal"]
    assert again["next_run_at"] == first["next_run_at"]
    assert db.one("select count(*) from public.trade_proposals where user_id = %s", owner) == 1
    assert db.one("select sum(tokens_used) from public.gpt_usage_log") == 7
    assert db.one("select count(*) from public.audit_events where event = 'SCAN_PROPOSED'") == 1


def test_a_lease_is_released_without_a_scan_under_its_token(
    db: TestDatabase, service: Caller, owner: UUID
) -> None:
    """An error counts as a failure, none does not; a repeat says that it was released already."""
    for error, failures in ((None, 0), ("broken", 1)):
        job = _lease(service)
        release = {
            "p_scan_job_id": job["id"],
            "p_lock_token": job["lock_token"],
            "p_minutes": 5,
            "p_error": error,
        }
        answers = [service.call("release_job_lock", **release)["outcome"] for _ in range(2)]
        assert answers == ["released", "already_released"]
        assert _job(db, owner)["consecutive_failures"] == failures
        db.set_clock(_next_run(db))


def test_a_finish_without_a_token_is_refused(db: TestDatabase, service: Caller, owner: UUID) -> None:
    """No token is no lease: not even of a job that nobody holds."""
    job = _job(db, owner) | {"policy_hash": ""}
    with pytest.raises(Refused, match="INVALID_FINISH"):
        _finish(service, job)
    assert _finish(service, job | {"lock_token": str(uuid4())})["outcome"] == "lease_lost"
