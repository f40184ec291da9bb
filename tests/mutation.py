"""Change every decision of the pure core and see a test fail: ``python -m tests.mutation``.

mutmut makes the changes; its configuration in pyproject.toml names the modules and the tests. It changes
functions alone: what stands at a module's top level, such as the table of codes, is held by tests that
state it a second time. Exits 1 when a change goes unnoticed that is not in `REVIEWED`, or when a reason
there is about one that no longer does.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

REVIEWED: Mapping[str, str] = {}
"""A change that no test can notice, as this program prints it, and the reason why."""

_REPOSITORY = Path(__file__).resolve().parents[1]
_COPIED = ("functions", "shared", "tests/__init__.py", "tests/unit", "pyproject.toml")
_RESULT = re.compile(r"\s*(?P<name>\S+): (?P<status>.+)")
_CAUGHT = "killed"
"""mutmut's word for a test that failed. A time-out is none: on a busy machine it proves nothing."""


class BrokenRunError(Exception):
    """mutmut did not get as far as a verdict; the message is what it printed."""


@dataclass(frozen=True)
class Mutant:
    """One change to one function, and what became of it."""

    name: str
    status: str

    @property
    def module(self) -> str:
        """Where it is: ``functions.execute.order``."""
        return self.name.rpartition(".")[0]

    @property
    def function(self) -> str:
        """Where it is, as mutmut writes it: ``functions.execute.order.x_tick_of``."""
        return self.name.rpartition("__mutmut_")[0]


def main() -> int:
    """Try every mutant; the exit code."""
    local = _REPOSITORY / ".local"
    local.mkdir(exist_ok=True)
    with TemporaryDirectory(prefix="mutation-", dir=local) as name:
        folder = Path(name)
        copy_to(folder)
        _say("Changing every decision of the pure core, a few minutes …")
        mutants = _tried(folder)
        unnoticed = {_change(folder, mutant): mutant for mutant in mutants if mutant.status != _CAUGHT}
    _say(_table(mutants))
    unreviewed = [change for change in unnoticed if change not in REVIEWED]
    outdated = [change for change in REVIEWED if change not in unnoticed]
    for change in unnoticed:
        reason = REVIEWED.get(change, "NO REASON IS WRITTEN for this one.")
        _say(f"\n{unnoticed[change].name} ({unnoticed[change].status}): {reason}\n{change}")
    for change in outdated:
        _say(f"\nA reason is written for this one, and yet a test notices it or it is not made:\n{change}")
    return 1 if unreviewed or outdated else 0


def copy_to(folder: Path) -> None:
    """What is deployed and its unit tests, for whoever changes them where they stand."""
    for path in _COPIED:
        source, target = _REPOSITORY / path, folder / path
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            target.parent.mkdir(exist_ok=True)
            shutil.copy2(source, target)


def _tried(folder: Path) -> list[Mutant]:
    """Every mutant, tested. Raises BrokenRunError when the tests fail without any, or none is made."""
    _mutmut(folder, "run")
    found = map(_RESULT.fullmatch, _mutmut(folder, "results", "--all", "true").splitlines())
    mutants = [Mutant(line["name"], line["status"]) for line in found if line]
    if not mutants:
        raise BrokenRunError("mutmut made no mutant: see its configuration in pyproject.toml.")
    return mutants


def _change(folder: Path, mutant: Mutant) -> str:
    """The lines that differ, under the function's name: unlike a number, they outlive other edits."""
    lines = _mutmut(folder, "show", mutant.name).splitlines()
    changed = [f"{line[0]} {line[1:].strip()}" for line in lines if re.match(r"[-+](?![-+]{2})", line)]
    return "\n".join([mutant.function, *changed])


def _mutmut(folder: Path, *arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-m", "mutmut", *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise BrokenRunError(done.stdout[-4000:])
    return done.stdout


def _table(mutants: list[Mutant]) -> str:
    made = Counter(mutant.module for mutant in mutants)
    caught = Counter(mutant.module for mutant in mutants if mutant.status == _CAUGHT)
    rows = [(module, made[module], caught[module]) for module in sorted(made)]
    rows.append(("together", made.total(), caught.total()))
    width = max(len(module) for module in made)
    return "\n".join(f"{module:{width}}  {caught:4} of {made:4} caught" for module, made, caught in rows)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BrokenRunError as report:
        sys.exit(f"mutmut did not finish:\n{report}")
