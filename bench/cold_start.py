"""Cold starts beside a function that anybody would write with the same packages, each a fresh process."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import httpx

from bench import trading
from bench.memory import proportional_bytes
from bench.table import Bench, Row, Sample, Target, at_most
from bench.trading import Trading
from local.errors import LocalWorldError
from local.ports import free_port
from local.processes import Child
from local.stack import LOCAL, REPOSITORY

REPETITIONS = 15
APPROVED, READY, MEMORY = 1.2, 1.1, 1.2
_PATIENCE_S = 30.0
_POLL_S = 0.005
_VENV = LOCAL / "venv-deployed"
_GROUPS = ("execute", "scan_tick", "cleanup")
_AGAINST = {"main": "a function with the same packages", "imports": "their imports alone"}


@dataclass(frozen=True)
class Start:
    """One function as it is started, and what its processes took, start by start."""

    name: str
    source: str
    target: str
    environ: Mapping[str, str]
    seconds: list[float] = field(default_factory=list)
    mebibytes: list[float] = field(default_factory=list)

    def measure(self, python: Path, folder: Path, ask: Callable[[str], httpx.Response]) -> None:
        """Start it, ask until it answers, weigh it, end it."""
        port = free_port()
        command: list[str | Path] = [
            python,
            "-m",
            "functions_framework",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
        ]
        began = time.monotonic()
        child = Child.start(
            self.name.replace(" ", "-"),
            [*command, "--source", self.source, "--target", self.target],
            folder=folder,
            environ=self.environ,
            cwd=REPOSITORY,
        )
        try:
            _answered(child, ask, f"http://127.0.0.1:{port}")
            self.seconds.append(time.monotonic() - began)
            self.mebibytes.append(proportional_bytes(child.process.pid) / 2**20)
        finally:
            child.stop()


def beside_anybodys() -> list[Row]:
    """First approvals of fresh processes, then starts until the first answer, in turn with the reference.

    Raises LocalWorldError when the world cannot start, or when an approval is not answered with an order.
    """
    python = _deployed_python()
    with trading.opened("bench-cold-start") as place, httpx.Client(trust_env=False, timeout=30.0) as http:
        (owner,) = place.owners(1)
        proposals = (proposal for _, proposal in place.proposals([owner], 2 * (REPETITIONS + 1)))
        execute, scan_tick, cleanup = (_of(function, place) for function in _GROUPS)
        approve, imports = _reference("main", "approve", place), _reference("imports", "ready", place)
        ready = replace(approve, seconds=[], mebibytes=[])

        for start in _in_turn(execute, approve):
            body = {"proposalId": str(next(proposals))}
            ask = partial(http.post, json=body, headers=owner.bearer())
            start.measure(python, place.stack.folder, ask)
        for start in _in_turn(scan_tick, cleanup, ready, imports):
            start.measure(python, place.stack.folder, http.get)
    return [
        _row("execute: start to first answered approval", _seconds, execute, approve, at_most(APPROVED)),
        _row("execute: memory after its first approval", _mebibytes, execute, approve, at_most(MEMORY)),
        *(
            _row(f"{start.name}: start to ready", _seconds, start, ready, at_most(READY))
            for start in (scan_tick, cleanup)
        ),
        *(_row(f"{start.name}: start to ready", _seconds, start, imports) for start in (scan_tick, cleanup)),
    ]


def _in_turn(*starts: Start) -> Iterator[Start]:
    """Each so many times, forwards and backwards: whoever comes first finds another machine than the last."""
    for repetition in range(REPETITIONS + 1):
        yield from starts if repetition % 2 else reversed(starts)


def _of(function: str, place: Trading) -> Start:
    return Start(function, f"functions/{function}/main.py", function, place.environment(function))


def _reference(module: str, target: str, place: Trading) -> Start:
    return Start(_AGAINST[module], f"bench/reference/{module}.py", target, place.environment("execute"))


def _row(
    what: str, sample: Callable[[Start], Sample], ours: Start, theirs: Start, target: Target | None = None
) -> Row:
    return Row(what, sample(ours), theirs.name, sample(theirs), target)


def _seconds(start: Start) -> Sample:
    return Sample(tuple(start.seconds[1:]), "s")


def _mebibytes(start: Start) -> Sample:
    return Sample(tuple(start.mebibytes[1:]), "MiB")


def _answered(child: Child, ask: Callable[[str], httpx.Response], address: str) -> None:
    """Ask again and again until something listens, which is once: what is answered must be a success."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            response = ask(address)
        except httpx.ConnectError:
            if not child.alive or time.monotonic() > deadline:
                raise LocalWorldError(f"{child.name} did not start: {child.last_words()}") from None
            time.sleep(_POLL_S)
        else:
            if response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
                raise LocalWorldError(f"{child.name} answered {response.status_code}: {response.text}")
            return


def _deployed_python() -> Path:
    """A Python with what is deployed and nothing else, such as rich, which httpx imports when it is there.

    Raises LocalWorldError when its packages cannot be installed.
    """
    uv = LOCAL / "uv" / "bin" / "uv"
    groups = [word for group in _GROUPS for word in ("--only-group", group)]
    installed = subprocess.run(  # noqa: S603 - our own uv
        [uv, "sync", "--quiet", "--system-certs", "--frozen", "--python", sys.executable, *groups],
        cwd=REPOSITORY,
        env={**os.environ, "UV_PROJECT_ENVIRONMENT": str(_VENV), "TMPDIR": str(LOCAL)},
        check=False,
    )
    if installed.returncode != 0:
        raise LocalWorldError("The packages of the functions could not be installed by themselves.")
    return _VENV / "bin" / "python"


BENCH = Bench(
    "cold_start",
    "Cold starts",
    f"""
A fresh process each time, with the packages that the functions are deployed with and no others, served by
functions-framework as the cloud serves it. `execute` until its first approval is answered with an order,
beside a function that imports functions-framework, httpx, pydantic, postgrest and PyJWT, makes one HTTP
client and sends the same eight requests without a check in between (`bench/reference/main.py`). Then
`scan_tick` and `cleanup` until they answer a GET, beside the same function, and, to know what the client
costs, beside one that imports the packages and does nothing with them (`bench/reference/imports.py`). In
turns, {REPETITIONS} times each after one that does not count. Memory is the proportional set size of all
processes of a function.
""",
    beside_anybodys,
)
