"""Take each mechanism out of the database and see which test notices: ``python -m tests.mutants [NAME…]``.

A mutant is a SQL file of this folder: it names what it removes and the tests that have to catch it. It is
applied to every fresh database of those tests. Exits 1 when one survives or does not apply, or when a test
fails without any.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from local import stack
from local.errors import LocalWorldError
from local.stack import Stack
from tests.database.harness import MUTANT, STACK, opened

_FOLDER = Path(__file__).resolve().parent
_TOOL = _FOLDER / "substitute.sql"
_REMOVES = "-- Removes: "
_CAUGHT_BY = "-- Caught by: "


@dataclass(frozen=True)
class Mutant:
    """A mechanism that is taken out."""

    name: str
    removes: str
    tests: tuple[str, ...]
    """The tests that have to catch it, as pytest names them."""
    statements: str

    @classmethod
    def read(cls, file: Path) -> Mutant:
        """A mutant of this folder."""
        text = file.read_text()
        lines = text.splitlines()
        return cls(
            name=file.stem,
            removes=next(_after(_REMOVES, lines)),
            tests=tuple(_after(_CAUGHT_BY, lines)),
            statements=_TOOL.read_text() + text,
        )


def _after(prefix: str, lines: list[str]) -> Iterator[str]:
    return (line.removeprefix(prefix) for line in lines if line.startswith(prefix))


@dataclass
class Run:
    """One run of pytest on this stack, with or without a mutant; and the tests that failed in it."""

    server: Stack
    statements: str | None = None
    failed: list[str] = field(default_factory=list)

    def pytest_configure(self, config: pytest.Config) -> None:
        """Bring the stack and the mutant."""
        config.stash[STACK] = self.server
        if self.statements is not None:
            config.stash[MUTANT] = self.statements

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember a test that failed in itself; one that could not begin proves nothing."""
        if report.failed and report.when == "call":
            self.failed.append(report.nodeid)

    def of(self, tests: tuple[str, ...]) -> tuple[int, str]:
        """Run these tests up to the first that fails: pytest's exit code, and what it printed."""
        printed = io.StringIO()
        with redirect_stdout(printed):
            code = pytest.main([*tests, "-q", "-x", "-p", "no:cacheprovider", "--timeout=90"], plugins=[self])
        return int(code), printed.getvalue()


def main(names: list[str]) -> int:
    """Try the mutants of these names, or all; the exit code."""
    mutants = [Mutant.read(file) for file in sorted(_FOLDER.glob("*.sql")) if file != _TOOL]
    if names:
        mutants = [mutant for mutant in mutants if mutant.name in names]
    with stack.running("mutants") as server:
        every = tuple(dict.fromkeys(test for mutant in mutants for test in mutant.tests))
        code, printed = Run(server).of(every)
        if code != pytest.ExitCode.OK:
            _say(f"Without any mutant these tests have to pass:\n{printed}")
            return 1
        width = max(len(mutant.name) for mutant in mutants)
        survived = 0
        for mutant in mutants:
            problem = _problem(server, mutant)
            run = Run(server, mutant.statements)
            if problem is None:
                code, printed = run.of(mutant.tests)
                if code != pytest.ExitCode.TESTS_FAILED or not run.failed:
                    problem = f"SURVIVED\n{printed}"
            survived += problem is not None
            _say(f"{mutant.name:{width}}  {mutant.removes}")
            _say(f"{'':{width}}    {problem or 'caught by ' + run.failed[0].removeprefix('tests/database/')}")
        _say(f"{len(mutants) - survived} of {len(mutants)} mutants were caught.")
    return 1 if survived else 0


def _problem(server: Stack, mutant: Mutant) -> str | None:
    """Why a mutant does not apply, or None."""
    if not mutant.tests:
        return "names no test that has to catch it"
    url = stack.fresh_database(server)
    try:
        with opened(url) as database:
            database.script(mutant.statements)
    except psycopg.Error as error:
        return f"DOES NOT APPLY: {' '.join(str(error).split())}"
    finally:
        stack.drop_database(server, url)
    return None


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except LocalWorldError as refusal:
        sys.exit(str(refusal))
