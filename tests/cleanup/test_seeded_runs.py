"""Whatever crashes, lags, fails or shows the wrong time: cleanup ends with what the exchange's record says.

Each seed is a deployment of its own. It leaves several executions in every state that a crash or a lost
answer can leave behind, moves three clocks, and lets cleanup run until nothing is left to learn. A seed plays
the same each time: one that failed is played alone by its number, `pytest -m soak -k "thousand and [637]"`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any

import pytest

from functions.cleanup.run import run
from local.exchange.faults import ExchangeFaultRequest
from shared.errors import ExchangeError
from tests.cleanup.short_way import ShortWay
from tests.cleanup.simulated import MINUTE, Deploy, Simulation

A_TWENTIETH, ALL = 50, 1000
_LONGEST_LAG_MS = 30_000
_MOST_RUNS = 150


@pytest.mark.parametrize("number", range(A_TWENTIETH))
def test_a_twentieth_of_the_runs_settles_with_the_exchanges_truth(deploy: Deploy, number: int) -> None:
    """Fifty of the thousand seeds; every execution agrees, and none whose order exists is NOT_PLACED."""
    _play(deploy, number)


@pytest.mark.soak
@pytest.mark.parametrize("number", range(ALL))
def test_a_thousand_runs_settle_with_the_exchanges_truth(deploy: Deploy, number: int) -> None:
    """All thousand seeds; every execution agrees, and none whose order exists is NOT_PLACED."""
    _play(deploy, number)


def test_the_functions_own_clock_changes_nothing(deploy: Deploy) -> None:
    """It jumps before each call: every run finds and spends the same, and every execution ends the same."""
    assert _play(deploy, 6, restless=True) == _play(deploy, 6)


def _play(deploy: Deploy, number: int, *, restless: bool = False) -> list[object]:
    """Play one seed; what each run found and spent, and how the executions ended."""
    with deploy(seed=number) as sim:
        seed = Seed(sim, Random(number), number, restless)  # noqa: S311 - chance on purpose, not a secret
        seed.play()
        return [*seed.found, [status for _, status, *_ in sim.rows()]]


class _SteppingWay(ShortWay):
    """The way of a run during which clocks step: before its call of that number, or before each."""

    steps: dict[int, list[Callable[[], None]]]
    before_each: Callable[[], None]

    def call(self, rpc: str, **params: object) -> Any:
        """Like `Database.call`, after what is due."""
        self.before_each()
        for step in self.steps.pop(len(self.calls), []):
            step()
        return super().call(rpc, **params)


@dataclass
class Seed:
    """One seed: what is going to happen, when, and what must be true in the end."""

    sim: Simulation
    random: Random
    number: int
    restless: bool = False
    """Does the function's own clock jump before each call of a run?"""
    due: list[tuple[float, Callable[[], object]]] = field(default_factory=list)
    within: dict[int, list[Callable[[], None]]] = field(default_factory=lambda: defaultdict(list))
    """What happens during the next run, before its call of that number."""
    found: list[object] = field(default_factory=list)
    surprises: bool = False
    """May a conclusion be contradicted? Only by an order that comes up late, or a clock that jumps."""

    def play(self) -> None:
        """Let everything happen, and look at the result."""
        sim, random = self.sim, self.random
        off = random.randint(-60_000, 60_000)
        sim.times.database_off_ms = off
        sim.times.function_off_ms = random.randint(-60_000, 60_000)
        sim.exchange.clock.set_offset(off + random.randint(-1500, 1500))
        sim.exchange.settings.settle_after_ms = random.choice((0, 0, 5_000, 300_000))
        sim.exchange.settings.words = random.choice(("new", "old"))
        sim.owner()
        self._clean_up()
        self._past()
        self._faults()
        self._approve()
        self._plan_the_clocks()
        self._drive()
        # What came up last may have met only runs that failed: one that nothing disturbs has the last word.
        sim.faults.clear()
        sim.advance(MINUTE)
        self._clean_up()
        self._judge(len(sim.events("CONTRADICTED")))

    def _clean_up(self) -> None:
        way = _SteppingWay(self.sim.db, self.sim.times, self.sim.service)
        way.steps, self.within = self.within, defaultdict(list)
        way.before_each = self._jump if self.restless else lambda: None
        summary = run(way, self.sim.asked(), mode="live", instance="test", sleep=self.sim.times.advance)
        # A run that ended before it has them after it.
        for steps in way.steps.values():
            for step in steps:
                step()
        outcomes = [market.outcome for market in summary.markets]
        self.found.append((dict(summary.executions), outcomes, summary.points_spent))

    def _jump(self) -> None:
        """To the other end of the minute that it may be off by; `random` is left as it is without."""
        self.sim.times.function_off_ms = 60_000 if self.sim.times.function_off_ms < 0 else -60_000

    def _past(self) -> None:
        """Half of the seeds have a witness, for so long as it is one."""
        if self.random.random() < 0.5:
            self._recorded(self.sim.claimed())
            self.sim.advance(self.random.uniform(0, 7) * 60 * MINUTE)
            self._clean_up()

    def _faults(self) -> None:
        """Look-ups fail half of the time, and lag 0 to 30 s where they do not."""
        for on in ("GET /order*", "GET /trades"):
            for name, share in (
                ("error_502", 0.2),
                ("error_503", 0.15),
                ("drop_answer", 0.1),
                ("not_json", 0.05),
            ):
                self._fault(name, on, share)
            for share in (0.3, 0.5, 0.7):
                self._fault("lag", on, share, ms=self.random.randint(0, _LONGEST_LAG_MS))

    def _fault(self, name: str, on: str, probability: float, **fields: object) -> None:
        asked = {"name": name, "on": on, "count": None, "probability": probability, **fields}
        self.sim.faults.add(
            ExchangeFaultRequest.model_validate({**asked, "seed": self.random.getrandbits(30)})
        )

    # What was approved, and what was left of it

    def _approve(self) -> None:
        left = (
            self._crashed_before_sending,
            self._crashed_after_sending,
            self._answer_lost,
            self._request_lost,
            self._under_way,
            self._comes_up_late,
            self._recorded,
            self._refused,
        )
        for _ in range(self.random.randint(3, 6)):
            market = self.random.choice(("BTC-EUR", "ETH-EUR"))
            execution = self.sim.claimed(market=market, side=self.random.choice(("buy", "sell")))
            self.random.choice(left)(execution)
            self.sim.advance(self.random.uniform(0, 3))

    def _crashed_before_sending(self, execution: Mapping[str, Any]) -> None:
        """CLAIMED, and nothing was ever sent."""

    def _crashed_after_sending(self, execution: Mapping[str, Any]) -> None:
        """CLAIMED, and the order exists."""
        self.sim.placed(execution)

    def _answer_lost(self, execution: Mapping[str, Any]) -> None:
        """UNKNOWN, and the order exists."""
        self.sim.placed(execution)
        self.sim.record(execution, "unknown", p_error_code="NO_ANSWER")

    def _request_lost(self, execution: Mapping[str, Any]) -> None:
        """UNKNOWN, and the exchange never saw it."""
        self.sim.record(execution, "unknown", p_error_code="NO_ANSWER")

    def _under_way(self, execution: Mapping[str, Any]) -> None:
        """UNKNOWN or CLAIMED; it arrives later, inside its window or after it."""
        if self.random.random() < 0.5:
            self.sim.record(execution, "unknown", p_error_code="NO_ANSWER")
        self._later(self.random.uniform(0, 20), lambda: self._arrive(execution))

    def _arrive(self, execution: Mapping[str, Any]) -> None:
        try:
            self.sim.send(execution)
        except ExchangeError as error:
            raise AssertionError("the exchange itself does not fail here") from error

    def _comes_up_late(self, execution: Mapping[str, Any]) -> None:
        """The exchange has it only minutes later, perhaps after its absence was concluded."""
        self.surprises = True
        self.sim.record(execution, "unknown", p_error_code="109")
        self._later(
            self.random.choice((40, 200, 900)) * self.random.random(), lambda: self.sim.appear(execution)
        )

    def _recorded(self, execution: Mapping[str, Any]) -> None:
        """As it should be."""
        self.sim.record(execution, "placed", p_order=self.sim.placed(execution))

    def _refused(self, execution: Mapping[str, Any]) -> None:
        """Refused for certain."""
        self.sim.record(execution, "rejected", p_error_code="310")

    # Time

    def _plan_the_clocks(self) -> None:
        """Any of the three clocks steps, between two runs or during one."""
        for _ in range(self.random.choice((0, 0, 1, 2, 4))):
            step = self.random.choice((self._step_exchange, self._step_database, self._step_function))
            # Nobody signs or judges by the function's own clock: it surprises nobody.
            self.surprises = self.surprises or step != self._step_function
            by, during = self.random.randint(-60_000, 60_000), self.random.choice((None, 1, 3, 4, 5, 7))
            self._later(self.random.uniform(0, 300), partial(self._step, partial(step, by), during))

    def _step(self, step: Callable[[], None], during: int | None) -> None:
        if during is None:
            step()
        else:
            self.within[during].append(step)

    def _step_exchange(self, by_ms: int) -> None:
        self.sim.exchange.clock.step(by_ms)

    def _step_database(self, by_ms: int) -> None:
        self.sim.times.database_off_ms += by_ms

    def _step_function(self, by_ms: int) -> None:
        self.sim.times.function_off_ms += by_ms

    def _later(self, seconds: float, action: Callable[[], object]) -> None:
        self.due.append((self.sim.times.monotonic() + seconds, action))

    def _drive(self) -> None:
        """Run cleanup every minute until everything has happened and nothing is left to learn."""
        next_run = self.sim.times.monotonic() + self.random.uniform(0, 60)
        last = max((at for at, _ in self.due), default=0.0) + 2 * MINUTE
        for _ in range(_MOST_RUNS):
            for at, action in sorted(self.due, key=lambda one: one[0]):
                if at <= next_run:
                    self._wait_until(at)
                    action()
            self.due = [(at, action) for at, action in self.due if at > next_run]
            self._wait_until(next_run)
            self._clean_up()
            if not self.due and self.sim.times.monotonic() > last and self._nothing_left():
                return
            next_run += MINUTE if self.due else self._until_the_next_check()
        raise AssertionError(f"seed {self.number} is unsettled: {self.sim.rows()[-8:]}")

    def _wait_until(self, at: float) -> None:
        self.sim.advance(max(0.0, at - self.sim.times.monotonic()))

    def _nothing_left(self) -> bool:
        return (
            self.sim.db.one(
                "select not exists (select from trade_executions where next_check_at is not null)"
            )
            is True
        )

    def _until_the_next_check(self) -> float:
        self.sim.sync()
        wait = self.sim.db.one(
            """
            select extract(epoch from min(next_check_at) - interlock.clock())::float8
            from public.trade_executions
            """
        )
        return max(MINUTE, min(wait or 0.0, 10 * MINUTE))

    # The end

    def _judge(self, contradictions: int) -> None:
        where = f"seed {self.number}"
        assert self.sim.disagreements() == [], where
        if not self.surprises:
            assert contradictions == 0, where
        if contradictions == 0:
            assert self.sim.state == "ACTIVE", where
        else:
            assert self.sim.state == "HALTED", where
        assert self.sim.db.one("select count(*) from public.incomplete_evidence") == 0, where
