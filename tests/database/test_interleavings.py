"""No sequence of calls, in any interleaving, breaks what the database promises.

A state machine of hypothesis drives claims, records, crashes, clock jumps, halts, settlements and scans,
several at once, over one real database; after each step the promises are read back from the rows.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from tests.database.harness import Caller, Refused, TestDatabase, execution_id, open_trading, order, record

TRADES_A_DAY = 4
VALUE_A_DAY = Decimal(35)
CEILING_A_DAY = Decimal(55)
CALLS_AN_HOUR = 3
POLICY: Mapping[str, Any] = {
    "allowlist": ["BTC-EUR", "ETH-EUR", "SOL-EUR"],
    "cooldown_minutes": 0,
    "anti_flip_minutes": 0,
    "limits": {
        "daily": {"trades": TRADES_A_DAY, "value_eur": str(VALUE_A_DAY)},
        "gpt": {"daily": 5, "hourly": CALLS_AN_HOUR},
    },
}
WHICH = st.integers(0, 999)
UNSETTLED = {"CLAIMED", "UNKNOWN", "OPEN", "PARTIALLY_FILLED"}
CONCLUSIONS = {"NOT_PLACED", "REJECTED"}
ALLOWED = {
    "CLAIMED": {"UNKNOWN", "OPEN", "PARTIALLY_FILLED", "FILLED", "CANCELED", "REJECTED", "NOT_PLACED"},
    "UNKNOWN": {"OPEN", "PARTIALLY_FILLED", "FILLED", "CANCELED", "REJECTED", "NOT_PLACED"},
    "OPEN": {"PARTIALLY_FILLED", "FILLED", "CANCELED"},
    "PARTIALLY_FILLED": {"FILLED", "CANCELED"},
}


class Interleavings(RuleBasedStateMachine):
    """Two owners, their proposals and their scans, and whatever may happen to them."""

    database: ClassVar[TestDatabase]
    callers: ClassVar[list[Caller]]
    pool: ClassVar[ThreadPoolExecutor]

    @initialize()
    def two_owners_on_a_new_day(self) -> None:
        """Nothing of an earlier example counts any more."""
        self.database.advance(timedelta(days=2))
        self.database.do("update public.scan_jobs set enabled = false where enabled")
        self.database.do("delete from public.trading_owners where true")
        open_trading(self.database)
        self.database.do(
            "update public.trading_controls set max_daily_value_eur = %s where singleton", CEILING_A_DAY
        )
        self.owners = [self.database.owner(POLICY) for _ in range(2)]
        for owner in self.owners:
            self.database.as_owner_once(owner, "schedule_scan")
        self.began = self.database.now
        self.proposals: dict[UUID, UUID] = {}
        self.executions: dict[UUID, dict[str, Any]] = {}
        self.statuses: dict[str, str] = {}
        self.halted_at: datetime | None = None
        self.contradicted = False
        self.refusals = 0
        self.leases: dict[UUID, tuple[UUID, datetime]] = {}
        self.refusals_before = self._refusals_kept()
        for number in range(18):
            self.propose(number % 2, POLICY["allowlist"][number % 3], 600 + 70 * number)

    # What may happen

    @rule(owner=st.integers(0, 1), market=st.sampled_from(POLICY["allowlist"]), cents=st.integers(600, 2000))
    def propose(self, owner: int, market: str, cents: int) -> None:
        """A scan stores a proposal."""
        proposal = self.database.proposal(
            self.owners[owner], market=market, amount_quote=Decimal(cents) / 100
        )
        self.proposals[proposal] = self.owners[owner]

    @rule(which=st.lists(WHICH, min_size=1, max_size=4))
    def approve(self, which: list[int]) -> None:
        """Several approvals at once, of one proposal or of many."""
        chosen = [proposal for number in which for proposal in _pick(self.proposals, number)]
        asked = [self.database.claim_parameters(self.proposals[proposal], proposal) for proposal in chosen]
        for answer in self._at_once([_claiming(parameters) for parameters in asked]):
            if answer["outcome"] == "claimed":
                assert self.halted_at is None, "a claim was granted after a halt had answered"
                execution = answer["execution"]
                self.executions[UUID(execution["id"])] = execution
            elif answer["outcome"] == "refused":
                self.refusals += 1

    @rule(
        which=WHICH,
        what=st.sampled_from(
            ["filled", "canceled", "partiallyFilled", "new", "rejected", "not_placed", "unknown"]
        ),
        parts=st.integers(1, 10),
        repeat=st.integers(1, 2),
    )
    def record(self, which: int, what: str, parts: int, repeat: int) -> None:
        """What the exchange or the function says of an execution, perhaps twice at once, perhaps nonsense."""
        for known in _pick(self.executions, which):
            self._record(self.executions[known], what, parts, repeat)

    def _record(self, execution: dict[str, Any], what: str, parts: int, repeat: int) -> None:
        if what in ("rejected", "not_placed", "unknown"):
            outcome, found = what, None
        else:
            whole = Decimal(json.loads(execution["request"]["body"])["amount"])
            filled = {"filled": whole, "new": Decimal(0)}.get(what, whole * parts / 20)
            if self._status(execution["id"]) in ("FILLED", "CANCELED"):
                # The exchange may repeat itself; an order that grew after its end would exceed any limit.
                filled = self.database.one(
                    "select filled_amount from public.trade_executions where id = %s", execution["id"]
                )
            outcome, found = "placed", order(execution, what, f"{filled:.10f}")
        conclusion = self._status(execution["id"]) in CONCLUSIONS

        def tell(caller: Caller) -> dict[str, Any]:
            return record(caller, execution, outcome, p_order=found)

        answers = self._at_once([tell] * repeat)
        if conclusion and outcome == "placed":
            assert any(answer["outcome"] == "contradicted" for answer in answers)
            self.halted_at = self.database.now
            self.contradicted = True

    @rule(seconds=st.sampled_from([1, 20, 45, 119, 121, 700, 3601]))
    def time_passes(self, seconds: int) -> None:
        """The clock moves on, and a comparison is made meanwhile."""
        self.database.advance(timedelta(seconds=seconds))
        self.database.do(
            "update public.trading_controls set reconciled_at = interlock.clock() where singleton"
        )

    @rule()
    def halt(self) -> None:
        """The operator halts."""
        self.callers[0].call("halt_trading", p_reason="a test")
        self.halted_at = self.database.now

    @rule()
    def resume(self) -> None:
        """The operator looks and resumes, under the current version."""
        version = self.database.one("select version from public.trading_controls")
        self.callers[0].call(
            "set_trading_controls",
            p_changes={"trading_state": "ACTIVE", "reason": "looked"},
            p_version=version,
        )
        self.halted_at = None

    @rule(workers=st.integers(1, 3))
    def claim_jobs(self, workers: int) -> None:
        """Several ticks claim what is due, at once."""
        now = self.database.now
        answers = self._at_once(
            [lambda caller: caller.call("claim_due_scan_jobs", p_instance_id=str(uuid4()), p_limit=5)]
            * workers
        )
        for job in (job for answer in answers for job in answer):
            job_id = UUID(job["id"])
            held = self.leases.get(job_id)
            assert held is None or held[1] <= now, "a lease was given away while it was held"
            self.leases[job_id] = (UUID(job["lock_token"]), datetime.fromisoformat(job["lock_expires_at"]))

    @rule(which=WHICH, crowd=st.integers(1, 3))
    def reserve_calls(self, which: int, crowd: int) -> None:
        """Workers reserve model calls under their leases, some of them stale."""
        for job in _pick(self.leases, which):
            self._reserve(job, self.leases[job][0], crowd)

    def _reserve(self, job: UUID, token: UUID, crowd: int) -> None:
        def reserve(caller: Caller) -> dict[str, Any]:
            answer: dict[str, Any] = caller.call(
                "reserve_gpt_call",
                p_reservation_id=uuid4(),
                p_scan_job_id=job,
                p_lock_token=token,
                p_purpose="test",
                p_model="scripted",
                p_most_tokens=10_000,
            )
            return answer

        self._at_once([reserve] * crowd)

    @rule(which=WHICH, outcome=st.sampled_from(["held", "failed", "outage"]))
    def finish(self, which: int, outcome: str) -> None:
        """A worker finishes its job, or finds that it is no longer its own."""
        for job in _pick(self.leases, which):
            self._finish(job, self.leases[job][0], outcome)

    def _finish(self, job: UUID, token: UUID, outcome: str) -> None:
        answer = self.callers[0].call(
            "finish_scan",
            p_scan_job_id=job,
            p_lock_token=token,
            p_outcome=outcome,
            p_reason="a test",
            p_usage=[],
            p_proposal=None,
            p_policy_hash=None,
        )
        if answer["outcome"] == "finished":
            del self.leases[job]

    @rule()
    def clean_up(self) -> None:
        """Cleanup expires proposals and locks and seals, in two runs at once."""

        def run(caller: Caller) -> dict[str, Any]:
            caller.call("expire_old_proposals")
            caller.call("cleanup_expired_locks")
            answer: dict[str, Any] = caller.call("seal_audit_events")
            return answer

        self._at_once([run, run])

    @rule(which=WHICH, status=st.sampled_from(["NOT_PLACED", "REJECTED", "FILLED"]), early=st.booleans())
    def settle_by_hand(self, which: int, status: str, early: bool) -> None:
        """A person settles; without evidence and before a day has passed that is refused."""
        for known in _pick(self.executions, which):
            self._settle_by_hand(self.executions[known], status, early)

    def _settle_by_hand(self, execution: dict[str, Any], status: str, early: bool) -> None:
        before = self._status(execution["id"])
        age = self.database.now_ms - int(execution["access_timestamp"])
        answer = self.callers[0].outcome(
            "settle_by_hand",
            p_execution_id=execution["id"],
            p_status=status,
            p_who="a person",
            p_reason="a test",
            p_evidence=None if early else order(execution, "filled"),
        )
        if isinstance(answer, Refused):
            assert answer.sqlstate in ("PT400", "PT409")
            assert before in UNSETTLED
        elif before not in UNSETTLED:
            assert answer["outcome"] == "unchanged"
        elif early:
            assert age >= 24 * 3600 * 1000, "a person settled without evidence before a day had passed"

    # What must hold

    @invariant()
    def a_proposal_has_one_execution(self) -> None:
        """The execution of a proposal is the one whose id follows from it."""
        rows = self.database.rows(
            "select id, proposal_id from public.trade_executions where claimed_at >= %s", self.began
        )
        assert len({proposal for _, proposal in rows}) == len(rows)
        assert all(execution_id(proposal) == execution for execution, proposal in rows)
        assert {execution for execution, _ in rows} == set(self.executions)

    @invariant()
    def no_limit_is_exceeded(self) -> None:
        """Per UTC day: an owner's trades and value, and everybody's value, at what may still be spent."""
        trades: Counter[tuple[UUID, Any]] = Counter()
        value: dict[tuple[UUID | None, Any], Decimal] = {}
        for owner, day, status, spent, may_spend in self.database.rows(
            """
            select user_id, (claimed_at at time zone 'UTC')::date, status,
                filled_amount_quote + fee, order_value
            from public.trade_executions
            where claimed_at >= %s
            """,
            self.began,
        ):
            counts = max(spent, may_spend if status in UNSETTLED else Decimal(0))
            if status in UNSETTLED or spent > 0:
                trades[owner, day] += 1
            for key in ((owner, day), (None, day)):
                value[key] = value.get(key, Decimal(0)) + counts
        # A fact that wins over a conclusion may exceed what others have used since: that is why it halts.
        if not self.contradicted:
            assert all(count <= TRADES_A_DAY for count in trades.values())
            for (owner, _), spent_eur in value.items():
                assert spent_eur <= (CEILING_A_DAY if owner is None else VALUE_A_DAY)

    @invariant()
    def states_move_by_the_diagram(self) -> None:
        """Every change since the last step is a path of the diagram, or a fact that wins."""
        for execution, status, names_an_order in self.database.rows(
            """
            select id::text, status, exchange_order_id is not null
            from public.trade_executions
            where claimed_at >= %s
            """,
            self.began,
        ):
            before = self.statuses.get(execution, "CLAIMED")
            if before == "contradicted":
                continue
            if before in CONCLUSIONS and status != before:
                assert names_an_order, "a conclusion yielded to something that is no order"
                self.statuses[execution] = "contradicted"
                continue
            assert status == before or _reachable(before, status), f"{before} became {status}"
            self.statuses[execution] = status

    @invariant()
    def proposals_and_executions_agree(self) -> None:
        """The pair is written together."""
        wrong = self.database.rows(
            """
            select execution.status, proposal.status
            from public.trade_executions as execution
            join public.trade_proposals as proposal on proposal.id = execution.proposal_id
            where proposal.status <> interlock.proposal_status_for(execution.status)
            """
        )
        assert wrong == []

    @invariant()
    def every_refusal_is_kept(self) -> None:
        """What was refused stands in the audit, as often as it was refused."""
        assert self._refusals_kept() - self.refusals_before == self.refusals

    @invariant()
    def the_model_budget_holds(self) -> None:
        """No owner has more calls in 60 minutes than the policy allows."""
        most = self.database.one(
            """
            select coalesce(max(counted), 0) from (
                select count(*) over (
                    partition by user_id order by created_at
                    range between interval '3599.999 seconds' preceding and current row
                ) as counted
                from public.gpt_usage_log
                where status <> 'SKIPPED' and created_at >= %s
            ) as windows
            """,
            self.began,
        )
        assert most <= CALLS_AN_HOUR

    @invariant()
    def the_evidence_is_complete(self) -> None:
        """The view that must be empty is empty."""
        assert self.database.rows("select what from public.incomplete_evidence") == []

    def teardown(self) -> None:
        """The chain over everything that happened is whole."""
        while int(self.callers[0].call("seal_audit_events")["sealed"]) > 0:
            pass
        assert self.callers[0].call("verify_audit_chain", p_limit=100_000)["whole"] is True

    # Means

    def _at_once(self, calls: list[Callable[[Caller], Any]]) -> list[Any]:
        return list(self.pool.map(lambda pair: pair[0](pair[1]), zip(calls, self.callers, strict=False)))

    def _status(self, execution: str) -> str:
        status: str = self.database.one("select status from public.trade_executions where id = %s", execution)
        return status

    def _refusals_kept(self) -> int:
        kept: int = self.database.one("select coalesce(sum(times), 0)::int from public.trade_refusals")
        return kept


def _pick(known: Mapping[UUID, object], which: int) -> list[UUID]:
    """One of those that are known, if any is. What is known depends on who came first, so a draw must not."""
    return [list(known)[which % len(known)]] if known else []


def _claiming(parameters: dict[str, object]) -> Callable[[Caller], Any]:
    return lambda caller: caller.call("claim_execution", **parameters)


def _reachable(before: str, after: str) -> bool:
    seen, waiting = set(), [before]
    while waiting:
        status = waiting.pop()
        seen.add(status)
        waiting += ALLOWED.get(status, set()) - seen
    return after in seen


def _run(db: TestDatabase, examples: int, steps: int) -> None:
    with ThreadPoolExecutor(4) as pool:
        means = {"database": db, "callers": [db.as_service() for _ in range(4)], "pool": pool}
        run_state_machine_as_test(
            type("OnThisDatabase", (Interleavings,), means),
            settings=settings(
                max_examples=examples,
                stateful_step_count=steps,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                print_blob=True,
            ),
        )
    happened = dict(db.rows("select event, count(*) from public.audit_events group by event"))
    assert happened["EXECUTION_CLAIMED"] > 0, happened
    assert happened["EXECUTION_REFUSED"] > 0, happened


@pytest.mark.timeout(300)
def test_no_interleaving_breaks_a_promise(db: TestDatabase) -> None:
    """Random schedules over two owners keep every promise after each step."""
    _run(db, examples=12, steps=40)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_no_interleaving_breaks_a_promise_in_many_and_long_schedules(db: TestDatabase) -> None:
    """The same over 400 schedules of up to 60 steps."""
    _run(db, examples=400, steps=60)
