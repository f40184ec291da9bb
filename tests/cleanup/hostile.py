"""Owners who write whatever they may write, so that others cannot trade."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from uuid import UUID

import httpx

from local.exchange.markets import MARKETS
from tests.cleanup.simulated import MINUTE, Simulation

MOST = 100
"""Markets that a policy may name."""


@dataclass
class Hostile:
    """An owner whose policies are drawn anew and anew; nothing in them is invalid."""

    sim: Simulation
    seed: str
    random: Random = field(init=False)
    user: UUID = field(init=False)
    _made_up: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = Random(self.seed)  # noqa: S311 - to be repeated, not kept secret
        self.user = self.sim.owner()

    def write(self) -> None:
        """Write a policy: made-up markets, old and new, real ones among them, or nothing at all."""
        self.sim.sync()
        drawn = self.random.choice([self._fresh, self._again, self._mixed, self._nothing])()
        self.sim.db.as_owner_once(self.user, "set_trading_policy", p_policy={"allowlist": sorted(drawn)})

    def _fresh(self) -> set[str]:
        made = {f"X{self.random.getrandbits(60):X}-EUR" for _ in range(MOST)}
        self._made_up.extend(made)
        return made

    def _again(self) -> set[str]:
        return set(self._made_up[:MOST])

    def _nothing(self) -> set[str]:
        return set()

    def _mixed(self) -> set[str]:
        return set(self.random.sample(sorted(MARKETS), min(len(MARKETS), MOST // 2))) | set(
            self._made_up[-MOST // 2 :]
        )


@contextmanager
def looks(sim: Simulation) -> Iterator[dict[str, list[float]]]:
    """When (s) the orders of each market were asked for, first pages alone."""
    asked: dict[str, list[float]] = defaultdict(list)

    def note(request: httpx.Request) -> None:
        if request.url.path == "/v2/orders":
            asked[request.url.params["market"]].append(sim.times.monotonic())

    sim.http.event_hooks["request"].append(note)
    yield asked
    sim.http.event_hooks["request"].remove(note)


def cleaned_up(sim: Simulation, minutes: int, hostile: list[Hostile]) -> Iterator[None]:
    """Minute by minute, hostile owners write and cleanup runs."""
    for _ in range(minutes):
        for one in hostile:
            if one.random.random() < 0.8:
                one.write()
        sim.clean_up()
        yield
        sim.advance(MINUTE)
