"""Many seeds: side by side in two processes, added up, and what was wrong with how to see it again."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context

from local.stack import Stack
from tests.soak.schedule import Played, play

WORKERS = 2
_LAST_LINES = 40

Play = Callable[[Stack, int], Played]


@dataclass
class Soaked:
    """What many seeds came to."""

    seeds: int = 0
    seconds: float = 0.0
    tally: Counter[str] = field(default_factory=Counter)
    failing: dict[int, str] = field(default_factory=dict)
    """What was wrong in a seed, with the last lines of its story."""

    @property
    def claims(self) -> int:
        """Approvals that reached a claim."""
        return self.tally["approvals that reached a claim"]

    def table(self) -> str:
        """The figures, one a line."""
        rows = [("seeds", self.seeds), *sorted(self.tally.items()), ("seconds", round(self.seconds))]
        return "\n".join(f"{figure:>9,}  {name}" for name, figure in rows)

    def told(self) -> str:
        """What was wrong, and how to see it again."""
        return "\n\n".join(
            f"Seed {seed}, again by: .venv/bin/python -m tests.soak {seed}\n{what}"
            for seed, what in sorted(self.failing.items())
        )


def soak(server: Stack, seeds: Iterable[int], *, workers: int = WORKERS) -> Soaked:
    """Play all of these seeds."""
    soaked = Soaked()
    began = time.monotonic()
    for seed, tally, wrong in _played(server, seeds, workers):
        soaked.seeds += 1
        soaked.tally += tally
        if wrong:
            soaked.failing[seed] = wrong
    soaked.seconds = time.monotonic() - began
    return soaked


def first_noticed(server: Stack, seeds: Iterable[int], play_one: Play) -> tuple[int, str] | None:
    """The first seed that ends otherwise than it must, and what was wrong; None when none does."""
    for seed in seeds:
        if wrong := play_one(server, seed).violations:
            return seed, "\n".join(wrong)
    return None


def _played(server: Stack, seeds: Iterable[int], workers: int) -> Iterator[tuple[int, Counter[str], str]]:
    one = partial(_one, server)
    if workers == 1:
        yield from map(one, seeds)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(one, seeds, chunksize=4)


def _one(server: Stack, seed: int) -> tuple[int, Counter[str], str]:
    played = play(server, seed)
    if not played.violations:
        return seed, played.story.tally, ""
    told = [*played.story.lines[-_LAST_LINES:], *(f"WRONG: {one}" for one in played.violations)]
    return seed, played.story.tally, "\n".join(told)
