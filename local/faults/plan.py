"""Which call a fault strikes: by name, the next ones or some with a probability and a seed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import count
from random import Random
from threading import Lock
from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field


class FaultRequest(BaseModel):
    """What a fault is asked for with; single faults read further fields.

    `on` is the name of a call, with `*` for any part of it. Of the matching calls the first `skip` pass, and
    of the others each is struck with `probability`, drawn from `seed`, until `count` were (null: no end).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    on: str = "*"
    skip: Annotated[int, Field(ge=0)] = 0
    count: Annotated[int, Field(ge=1)] | None = 1
    probability: Annotated[float, Field(gt=0, le=1)] = 1.0
    seed: int = 0
    delay_ms: Annotated[int, Field(ge=0)] = 1000
    done: bool = True


Request = TypeVar("Request", bound=FaultRequest)


@dataclass
class Fault(Generic[Request]):
    """One fault that was asked for: how often it met a matching call, struck, and holds one now."""

    id: int
    asked: Request
    met: int = 0
    struck: int = 0
    held: int = 0
    _random: Random = field(init=False)
    _gates: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = Random(self.asked.seed)  # noqa: S311 - chance on purpose, not a secret

    def strikes(self, call: str) -> bool:
        """Whether this call is one of those that the fault is for; counts it."""
        if not fnmatchcase(call, self.asked.on):
            return False
        if self.asked.count is not None and self.struck >= self.asked.count:
            return False
        self.met += 1
        if self.met <= self.asked.skip or self._random.random() >= self.asked.probability:
            return False
        self.struck += 1
        return True

    async def hold(self) -> None:
        """Wait for `release`."""
        gate = asyncio.Event()
        entry = (asyncio.get_running_loop(), gate)
        self._gates.append(entry)
        self.held += 1
        try:
            await gate.wait()
        finally:
            self.held -= 1
            self._gates.remove(entry)

    def release(self) -> int:
        """Let go of what is held, from any thread; how many there were."""
        gates = list(self._gates)
        for loop, gate in gates:
            loop.call_soon_threadsafe(gate.set)
        return len(gates)

    def row(self) -> dict[str, object]:
        """What was asked for, and what came of it so far."""
        asked = {"name": self.asked.name, "on": self.asked.on, "count": self.asked.count}
        counts = {"met": self.met, "struck": self.struck, "held": self.held}
        return {"id": self.id, **asked, **self.asked.model_dump(mode="json", exclude_defaults=True), **counts}


class FaultPlan(Generic[Request]):
    """The faults that are asked for, in that order; a call is struck by the first that matches."""

    def __init__(self) -> None:
        self._faults: list[Fault[Request]] = []
        self._ids = count(1)
        self._lock = Lock()

    def add(self, asked: Request) -> Fault[Request]:
        fault = Fault(next(self._ids), asked)
        with self._lock:
            self._faults.append(fault)
        return fault

    def strike(self, call: str) -> Fault[Request] | None:
        """The fault that this call meets, if any."""
        with self._lock:
            return next((fault for fault in self._faults if fault.strikes(call)), None)

    def release(self) -> int:
        """Let go of everything that is held; how many there were."""
        return sum(fault.release() for fault in list(self._faults))

    def clear(self) -> None:
        """Forget all faults, and let go of what they hold."""
        with self._lock:
            faults, self._faults = self._faults, []
        for fault in faults:
            fault.release()

    def rows(self) -> list[dict[str, object]]:
        return [fault.row() for fault in self._faults]
