"""Cleanup in a process of its own: what it does and how much memory that takes is nobody else's.

`python -m tests.cleanup.measured` reads a JSON line with `database` and `exchange`, and from then on the true
time of a run a line; it answers each with the run's summary and the peaks of its memory until now.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import psycopg

from functions.cleanup.run import run
from local.stack import REPOSITORY
from shared.bitvavo import open_http
from shared.log import configure
from tests.cleanup.short_way import TRADE_KEYS, ShortWay, Times, asked
from tests.database.harness import TestDatabase


@dataclass(frozen=True)
class Measured:
    """One run of the process: its summary, and the most memory that it has held until now."""

    summary: dict[str, Any]
    traced_bytes: int
    """What Python held at most, beyond what it held before its first run."""
    resident_kb: int
    """What the whole process held at most, as Linux counts it."""


@dataclass(frozen=True)
class Process:
    """A process of this module."""

    child: subprocess.Popen[str]

    def clean_up(self, true_ns: int) -> Measured:
        """One run, at this true time."""
        return Measured(**self._ask({"true_ns": true_ns}))

    def _ask(self, line: dict[str, Any]) -> dict[str, Any]:
        assert self.child.stdin is not None
        assert self.child.stdout is not None
        self.child.stdin.write(json.dumps(line) + "\n")
        self.child.stdin.flush()
        answered: dict[str, Any] = json.loads(self.child.stdout.readline())
        return answered


@contextmanager
def measured(database_url: str, exchange_url: str) -> Iterator[Process]:
    """Start one; it ends with the block."""
    with subprocess.Popen(
        [sys.executable, "-m", __name__],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": "."},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        process = Process(child)
        process._ask({"database": database_url, "exchange": exchange_url})
        try:
            yield process
        finally:
            child.kill()


def _main(asking: IO[str], answering: IO[str]) -> None:
    configure("cleanup")
    servers = json.loads(asking.readline())
    with (
        psycopg.connect(servers["database"], autocommit=True) as admin,
        open_http(30.0) as http,
    ):
        db = TestDatabase(servers["database"], admin)
        service = db.as_service()
        _answer(answering, {"ready": True})
        tracemalloc.start()
        for line in asking:
            times = Times(**json.loads(line))
            summary = run(
                ShortWay(db, times, service),
                asked(http, servers["exchange"], TRADE_KEYS, times),
                mode="live",
                instance="measured",
                sleep=time.sleep,
            )
            told = {
                "summary": summary.as_json(),
                "traced_bytes": tracemalloc.get_traced_memory()[1],
                "resident_kb": _most_resident_kb(),
            }
            _answer(answering, told)


def _most_resident_kb() -> int:
    """The peak of this program alone: `getrusage` begins with the parent's, from before the exec."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


def _answer(answering: IO[str], told: dict[str, Any]) -> None:
    answering.write(json.dumps(told) + "\n")
    answering.flush()


if __name__ == "__main__":
    # What cleanup logs is written as in production, and read by nobody.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    _main(sys.stdin, answers)
