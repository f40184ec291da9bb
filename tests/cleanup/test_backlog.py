"""A backlog drains oldest first, within half of the rate limit, in memory that does not grow with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from uuid import UUID

import pytest

from local.exchange.keys import OWNER, TRADE_KEY
from local.exchange.limits import Limits
from tests.cleanup.measured import Measured, measured
from tests.cleanup.simulated import MINUTE, Deploy, Simulation

SHARE = 500
"""Half of the points that the rate limit gives in a minute."""
NEVER_SENT = 5
"""Of so many executions, one was never sent."""


@dataclass
class _Counted(Limits):
    """Adds up what the trade key spends, in all and in each minute."""

    spent: int = 0
    minutes: dict[int, int] = field(default_factory=dict)

    def spend(self, who: str, signed: bool, weight: int, now_ms: int) -> dict[str, str]:
        headers = super().spend(who, signed, weight, now_ms)
        if who == TRADE_KEY:
            self.spent += weight
            minute = now_ms // 60_000
            self.minutes[minute] = self.minutes.get(minute, 0) + weight
        return headers


_PROPOSALS = """
    insert into public.trade_proposals (
        id, user_id, market, side, amount_quote, reference_price, confidence, rationale
    )
    select
        gen_random_uuid(), user_id, market, side, amount_quote, reference_price, confidence, rationale
    from public.trade_proposals, generate_series(2, %s)
"""

_EXECUTIONS = """
    insert into public.trade_executions (
        id, proposal_id, idempotency_key, attempt_id, status, request,
        claimed_at, access_timestamp, next_check_at,
        user_id, mode, operator_id, trade_key_fingerprint, exchange_url, market, side, order_value,
        policy_hash, policy_snapshot, checks, override_cooldown, override_anti_flip, access_window_ms
    )
    select
        later.id, later.proposal_id, later.proposal_id::text, gen_random_uuid(), 'CLAIMED',
        jsonb_set(
            one.request, '{body}', to_jsonb(replace(one.request ->> 'body', one.id::text, later.id::text))
        ),
        one.claimed_at + later.after,
        one.access_timestamp + extract(epoch from later.after)::bigint * 1000,
        one.claimed_at + later.after + interval '5 seconds',
        user_id, mode, operator_id, trade_key_fingerprint, exchange_url, market, side, order_value,
        policy_hash, policy_snapshot, checks, override_cooldown, override_anti_flip, access_window_ms
    from public.trade_executions as one
    cross join lateral (
        select
            proposal.id as proposal_id, interlock.execution_id(proposal.id) as id,
            row_number() over (order by proposal.id) * make_interval(secs => %s) as after
        from public.trade_proposals as proposal
        where proposal.status = 'EXECUTING' and proposal.id <> one.proposal_id
    ) as later
"""


def _backlog(sim: Simulation, size: int, apart_s: float) -> list[UUID]:
    """So many executions that execute claimed and never recorded, oldest first, so far apart.

    Most were sent, and the exchange has their orders; each fifth was not.
    """
    makers = sim.exchange.engine.makers["BTC-EUR"]
    makers.pinned_price = sim.exchange.engine.book("BTC-EUR", sim.exchange.clock.now())[1][0].price
    first = sim.claimed()
    with sim.db.admin.transaction():
        sim.db.do(_PROPOSALS, size)
        sim.db.do("update public.trade_proposals set status = 'EXECUTING' where status = 'PENDING'")
        sim.db.do(_EXECUTIONS, apart_s)
    sim.exchange.engine.deposit(OWNER, "EUR", Decimal(20 * size))
    executions = sim.db.rows("select id, request from public.trade_executions order by claimed_at")
    assert (len(executions), str(executions[0][0])) == (size, first["id"])
    for number, (identifier, request) in enumerate(executions):
        if number % NEVER_SENT < NEVER_SENT - 1:
            sim.appear({"id": identifier, "request": request})
        sim.advance(apart_s) if number == size - 1 else sim.times.advance(apart_s)
    return [identifier for identifier, _ in executions]


@dataclass(frozen=True)
class _Drained:
    """What became of a backlog."""

    runs: list[Measured]
    spent: int
    most_in_a_minute: int

    @property
    def points(self) -> list[int]:
        return [run.summary["exchange"]["points_spent"] for run in self.runs]


def _drain(deploy: Deploy, size: int, apart_s: float, *, compared: bool) -> _Drained:
    """Let a backlog drain, one run a minute; whether the markets were compared until now or never since."""
    with deploy() as sim:
        sim.exchange.limits = counted = _Counted()
        ids = _backlog(sim, size, apart_s)
        if compared:
            # What is older is then found by look-ups alone.
            sim.db.do("update interlock.market_marks set read_to = interlock.clock() where true")
        sim.advance(2 * MINUTE)
        runs: list[Measured] = []
        with measured(sim.db.url, sim.url) as process:
            while sim.db.one("select exists (select from trade_executions where status = 'CLAIMED')"):
                assert len(runs) < size / 100 + 10
                runs.append(process.clean_up(sim.times.true_ns))
                sim.advance(MINUTE)
        assert sim.disagreements() == []
        assert sim.state == "ACTIVE"
        assert [run.summary["problems"] for run in runs] == [[]] * len(runs)
        _assert_oldest_first(sim, ids)
        return _Drained(runs, counted.spent, max(counted.minutes.values()))


def _assert_oldest_first(sim: Simulation, ids: list[UUID]) -> None:
    """Of the orders that only look-ups find, the older one is settled first; so is it of the absences."""
    for event in ("EXECUTION_FILLED", "ABSENT"):
        settled = sim.db.rows(
            """
            select event.execution_id
            from public.audit_events as event
            join public.trade_executions as execution on execution.id = event.execution_id
            where event.event = %s
            order by event.at, execution.claimed_at
            """,
            event,
        )
        order = [identifier for (identifier,) in settled]
        assert len(order) == len(set(order)) > 0
        # The comparison settles those of its last ten minutes, whatever waits before them.
        waited = {*ids[:-100]}.intersection(order)
        assert [one for one in order if one in waited] == [one for one in ids if one in waited]


def _assert_within_its_share(drained: _Drained) -> None:
    """The summaries say what was spent, to the point, and no minute saw more than half of the limit."""
    assert sum(drained.points) == drained.spent > 0
    assert drained.most_in_a_minute <= SHARE
    for run in drained.runs:
        told = run.summary["exchange"]
        assert told["points_allowed"] is None or told["points_spent"] <= told["points_allowed"] <= SHARE


def test_a_backlog_drains_oldest_first_within_half_of_the_limit(deploy: Deploy) -> None:
    """Somewhat more than one run looks up; what was spent is in the summaries."""
    _assert_within_its_share(_drain(deploy, 260, 7.0, compared=True))


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("compared", [True, False], ids=["found by look-ups", "found by the comparison"])
def test_a_backlog_of_10_000_drains_in_the_memory_of_1_000(deploy: Deploy, compared: bool) -> None:
    """Ten times the backlog takes ten times the runs, half of the limit, and at most 1.1 times the memory."""
    small = _drain(deploy, 1_000, 7.0, compared=compared)
    large = _drain(deploy, 10_000, 7.0, compared=compared)
    for drained in (small, large):
        _assert_within_its_share(drained)
    assert large.runs[-1].traced_bytes <= small.runs[-1].traced_bytes * 1.1
    assert large.runs[-1].resident_kb <= small.runs[-1].resident_kb * 1.1
