"""Approvals for ten minutes at half the rate at which their database calls alone saturate the local API.

``make soak`` runs it; ``python -m bench.approvals 30`` tries it in seconds. Exits 1 when a promise is broken.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from queue import Queue
from statistics import quantiles
from threading import Event, Thread
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import httpx
from rich.console import Console

from bench import bare, trading
from bench.memory import proportional_bytes
from bench.table import Row, Sample, at_most, show
from bench.trading import Owner, Trading
from local import world
from local.errors import LocalWorldError
from local.exchange.keys import TRADE_KEY
from local.processes import Child
from local.stack import OPERATOR_ID

SECONDS = 600.0
INSTANCES, THREADS = 3, 8
"""As deployed (deploy.sh)."""
MOST_A_SECOND = 3.0 * INSTANCES
"""An instance sends five orders a second, lets more of them wait 2 s and then refuses them as busy."""
OWNERS = 200
MEMORY = 1.1
_SATURATE = 8
"""Callers that keep the API and its database busy; more would wait too long for the account's lock."""
_AT_ONCE = 24
_BATCH = 200
_SAMPLE_S = 0.5

Waiting = Queue[tuple[Owner, UUID]]
Act = Callable[[Owner, UUID], None]


def main(seconds: float = SECONDS) -> None:
    """Measure and print; the bare calls under the same load get a fifth of the time."""
    console = Console(width=None if sys.stdout.isatty() else 200)
    with trading.opened("bench-approvals") as place, _waiting(place) as waiting:
        call = _bare_calls(place)
        saturated = _as_fast_as_it_goes(call, waiting, seconds=min(15.0, seconds / 3))
        rate = min(saturated / 2, MOST_A_SECOND)
        console.print(
            f"Bare calls saturate at {saturated:.1f} approvals a second; "
            f"{rate:.1f} a second for {seconds:.0f} s, by {OWNERS} owners in turn."
        )
        alone = _steadily(call, waiting, rate, seconds / 5)
        instances = [_served(place, number) for number in range(INSTANCES)]
        with _connections(place) as opened:
            approve = _approvals(instances)
            first = _steadily(approve, waiting, rate, seconds / 10)
            early = _mebibytes(instances)
            rest = _steadily(approve, waiting, rate, seconds * 9 / 10)
            late = _mebibytes(instances)
    approved = [*first, *rest]
    rows = [
        _row("approvals under load: the middle one", approved, alone, 50),
        _row("approvals under load: the slowest of a hundred", approved, alone, 99),
        Row(
            "execute: memory at the end",
            Sample((late,), "MiB"),
            "after a tenth of the time",
            Sample((early,), "MiB"),
            at_most(MEMORY),
        ),
        Row(
            "execute: connections opened to the database",
            Sample((float(len(opened)),), ""),
            "threads",
            Sample((float(INSTANCES * THREADS),), ""),
            at_most(1),
        ),
    ]
    show(rows, console)
    console.print(f"{len(approved)} approvals, no errors.")
    sys.exit(1 if any(row.missed for row in rows) else 0)


def _row(what: str, ours: list[float], alone: list[float], percent: int) -> Row:
    at = percent - 1
    return Row(
        what,
        Sample((1000 * quantiles(ours, n=100)[at],), "ms"),
        "their database calls alone, under the same load",
        Sample((1000 * quantiles(alone, n=100)[at],), "ms"),
    )


@contextmanager
def _waiting(place: Trading) -> Iterator[Waiting]:
    """Proposals at the price of the moment, always some; meanwhile orders count as just compared."""
    waiting: Waiting = Queue(maxsize=2 * _BATCH)
    enough = Event()
    owners = place.owners(OWNERS)

    def fill() -> None:
        dealt = cycle(owners)
        while not enough.is_set():
            place.connection.execute(
                "update public.trading_controls set reconciled_at = interlock.clock() where singleton"
            )
            for one in place.proposals([next(dealt) for _ in range(_BATCH)], _BATCH):
                while not enough.is_set() and waiting.full():
                    time.sleep(0.05)
                if enough.is_set():
                    return
                waiting.put_nowait(one)

    filler = Thread(target=fill, daemon=True)
    filler.start()
    try:
        yield waiting
    finally:
        enough.set()
        filler.join()


def _bare_calls(place: Trading) -> Act:
    """The three database calls of an approval, and nothing else of it."""
    http = place.data_api()

    def call(owner: Owner, proposal: UUID) -> None:
        asked = bare.begin(str(owner.user_id), str(proposal), OPERATOR_ID, TRADE_KEY)
        begun = http.post("/begin_execution", json=asked).raise_for_status().json()
        now_ms = time.time_ns() // 1_000_000
        claim = bare.claim(asked, begun, place.exchange_url, now_ms)
        claimed: dict[str, Any] = {"outcome": "busy"}
        while claimed["outcome"] == "busy":  # too many wait for the account's lock: that is saturation
            claimed = http.post("/claim_execution", json=claim).raise_for_status().json()
        if claimed["outcome"] != "claimed":
            raise LocalWorldError(f"A bare claim ended otherwise: {claimed}")
        execution = claimed["execution"]
        told = bare.record(execution, bare.filled(execution))
        http.post("/record_execution_result", json=told).raise_for_status()

    return call


def _approvals(instances: list[tuple[Child, str]]) -> Act:
    """Approvals, by the instances in turn."""
    http = httpx.Client(trust_env=False, timeout=30.0)
    addresses = cycle(address for _, address in instances)

    def approve(owner: Owner, proposal: UUID) -> None:
        body = {"proposalId": str(proposal)}
        answer = http.post(next(addresses), json=body, headers=owner.bearer())
        if answer.status_code != httpx.codes.OK or not answer.json()["recorded"]:
            raise LocalWorldError(f"execute answered {answer.status_code}: {answer.text}")

    return approve


def _as_fast_as_it_goes(act: Act, waiting: Waiting, seconds: float) -> float:
    """How many a second, side by side."""
    until = time.monotonic() + seconds

    def keep_on() -> int:
        done = 0
        while time.monotonic() < until:
            act(*waiting.get())
            done += 1
        return done

    with ThreadPoolExecutor(_SATURATE) as pool:
        return sum(future.result() for future in [pool.submit(keep_on) for _ in range(_SATURATE)]) / seconds


def _steadily(act: Act, waiting: Waiting, rate: float, seconds: float) -> list[float]:
    """One every so often, whether the last is done or not; the seconds from when each was due to its answer.

    Raises what the first that failed raised.
    """

    def timed(due: float, one: tuple[Owner, UUID]) -> float:
        act(*one)
        return time.monotonic() - due

    futures: list[Future[float]] = []
    began = time.monotonic()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for number in range(round(rate * seconds)):
            due = began + number / rate
            one = waiting.get()
            time.sleep(max(0.0, due - time.monotonic()))
            futures.append(pool.submit(timed, due, one))
        return [future.result() for future in futures]


def _served(place: Trading, number: int) -> tuple[Child, str]:
    environ = place.environment("execute") | {"THREADS": str(THREADS)}
    return world.serve_function("execute", place.stack.folder, environ, name=f"execute-{number}")


def _mebibytes(instances: list[tuple[Child, str]]) -> float:
    return sum(proportional_bytes(child.process.pid) for child, _ in instances) / 2**20


@contextmanager
def _connections(place: Trading) -> Iterator[set[str]]:
    """The connections to the API that were opened meanwhile (Linux); a closed one is seen for a minute."""
    port = f":{urlsplit(place.stack.supabase_url).port or 80:04X}"
    before, opened, over = _to(port), set[str](), Event()

    def watch() -> None:
        while not over.wait(_SAMPLE_S):
            opened.update(_to(port) - before)

    watcher = Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield opened
    finally:
        over.set()
        watcher.join()


def _to(port: str) -> set[str]:
    """The local ends of all connections to a port (proc(5): sl, local_address, rem_address)."""
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return {row[1] for row in rows if row[2].endswith(port)}


if __name__ == "__main__":
    try:
        main(*map(float, sys.argv[1:2]))
    except LocalWorldError as error:
        sys.exit(f"make soak: {error}")
