"""What can become of an order: from the exchange's engine, its fault table, and the table of its codes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any

from functions.execute.outcome import ERROR_CODES, Fate

ORDER = "POST /order"
_BEYOND_PATIENCE_MS = 9_000
"""Longer than execute waits for the answer to an order (8 s)."""

Faults = tuple[Mapping[str, Any], ...]
Turns = Callable[[int], Faults]


@dataclass(frozen=True)
class Outcome:
    """One thing that can become of an order.

    `faults` are what the exchange is told to do, for the n-th use of this outcome: codes take turns. `placed`
    is the state in which the exchange has the order in the end, None when it has none. `told` is what execute
    stores when it lives to do so. `looks_again`: it looks the order up first, because its fate is unknown.
    """

    name: str
    meaning: str
    faults: Turns
    placed: str | None
    told: str
    looks_again: bool = False
    in_time: bool = True
    """Does something come back while execute waits for it?"""
    orders: int = 1
    """How many orders one request comes to: with more than one, trading has to halt."""

    @property
    def final(self) -> str:
        """What the database says in the end when execute lives through it."""
        return self.placed or ("REJECTED" if self.told == "REJECTED" else "NOT_PLACED")

    @property
    def asks_too_much(self) -> bool:
        """Does the exchange say that it is asked too much?"""
        return any(fault.get("http_status") == 429 for fault in self.faults(0))

    @property
    def kinds(self) -> set[str]:
        """The faults of the exchange's table that it is made of."""
        return {str(fault["name"]) for fault in self.faults(0)}


def _fault(name: str, **fields: object) -> Mapping[str, Any]:
    return {"name": name, "on": ORDER, **fields}


def _always(*faults: Mapping[str, Any]) -> Turns:
    return lambda _: faults


def _open(name: str, meaning: str, faults: Faults | Turns, *, placed: bool, in_time: bool = True) -> Outcome:
    """The answer leaves the fate open; when there is an order, a look-up finds it at once."""
    said = "the order is there" if placed else "nothing was placed"
    return Outcome(
        name,
        f"{meaning}; {said}",
        faults if callable(faults) else _always(*faults),
        placed="FILLED" if placed else None,
        told="FILLED" if placed else "UNKNOWN",
        looks_again=True,
        in_time=in_time,
    )


def _either(name: str, meaning: str, fault: str) -> tuple[Outcome, Outcome]:
    """An answer that says nothing: it comes with an order and without one."""
    return (
        _open(f"{name}-placed", meaning, (_fault(fault),), placed=True),
        _open(f"{name}-not-placed", meaning, (_fault(fault, done=False),), placed=False),
    )


def _of_code(codes: tuple[int, ...], http_status: int, *, done: bool) -> Turns:
    return lambda turn: (
        _fault("error_code", error_code=codes[turn % len(codes)], http_status=http_status, done=done),
    )


def _by_code() -> tuple[Outcome, ...]:
    """One outcome for each group of codes that share status and fate; the codes of a group take turns."""
    kind = attrgetter("http_status", "fate")
    made: list[Outcome] = []
    for (status, fate), rows in groupby(sorted(ERROR_CODES.values(), key=kind), kind):
        codes = tuple(row.code for row in rows)
        if fate is Fate.NOT_PLACED:
            made.append(
                Outcome(
                    f"refused-{status}",
                    f"refused for certain with {status}",
                    _of_code(codes, status, done=False),
                    placed=None,
                    told="REJECTED",
                )
            )
            continue
        made.extend(
            _open(
                f"doubtful-{status}-{'placed' if placed else 'not-placed'}",
                f"a code of {status} that leaves the fate open",
                _of_code(codes, status, done=placed),
                placed=placed,
            )
            for placed in (True, False)
        )
    return tuple(made)


OUTCOMES = (
    Outcome("filled", "filled at once", _always(), "FILLED", "FILLED"),
    Outcome(
        "partly-filled",
        "filled in part, the rest canceled",
        _always(_fault("thin_book", worth="4")),
        "CANCELED",
        "CANCELED",
    ),
    Outcome(
        "not-filled", "nobody to trade with: canceled", _always(_fault("thin_book")), "CANCELED", "CANCELED"
    ),
    _open("answer-dropped", "the answer is dropped", (_fault("drop_answer"),), placed=True),
    _open("request-dropped", "the request is dropped", (_fault("drop_request"),), placed=False),
    Outcome(
        "answer-dropped-look-ups-lag",
        "the answer is dropped, and look-ups do not show the order yet",
        _always(_fault("drop_answer"), _fault("lag", on="GET /order", ms=600_000, count=None)),
        "FILLED",
        "UNKNOWN",
        looks_again=True,
    ),
    _open("answer-cut", "the connection breaks in the middle of the answer", (_fault("cut"),), placed=True),
    _open(
        "answer-after-the-time-out",
        "the answer comes when nobody waits for it any more",
        (_fault("delay_answer", delay_ms=_BEYOND_PATIENCE_MS),),
        placed=True,
        in_time=False,
    ),
    _open(
        "request-after-the-time-out",
        "the request arrives when nobody waits for it any more, and its window is over",
        (_fault("delay_request", delay_ms=_BEYOND_PATIENCE_MS),),
        placed=False,
        in_time=False,
    ),
    *_either("not-json", "200 with a text that is not JSON", "not_json"),
    *_either("bad-gateway", "502 with a page of HTML", "error_502"),
    _open(
        "unknown-word", "a status that nobody knows", (_fault("wrong_status", status="onHold"),), placed=True
    ),
    _open(
        "rejected-with-fills",
        "a status that contradicts its fills",
        (_fault("wrong_status", status="rejected"),),
        placed=True,
    ),
    Outcome(
        "old-state",
        "an answer that is older than the order's end",
        _always(_fault("wrong_status", status="new")),
        "FILLED",
        "PARTIALLY_FILLED",
    ),
    Outcome(
        "outside-the-window",
        "the exchange's clock is ahead: 304",
        _always(_fault("clock_off", ms=11_000)),
        None,
        "REJECTED",
    ),
    Outcome(
        "carried-out-twice",
        "a network that repeats the request: two orders",
        _always(_fault("twice")),
        "FILLED",
        "FILLED",
        orders=2,
    ),
    *_by_code(),
)

ELSEWHERE = {
    "hold_request": "the steps hold requests",
    "hold_answer": "the steps hold answers",
    "error_500": "code 101, of the codes of 500",
    "error_503": "codes 107 to 111, of the codes of 503",
    "storm": "code 105, of the codes of 429",
    "clock_step": "as `clock_off`, for good",
    "foreign_order": "no outcome of an order of ours: tests/cleanup",
    "foreign_orders": "no outcome of an order of ours: tests/cleanup",
}
"""Faults of the exchange's table that no outcome is made of, and why."""
