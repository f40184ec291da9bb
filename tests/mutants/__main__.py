"""Take each mechanism out and see which test notices: ``python -m tests.mutants [NAME…]``.

Exits 1 when a mutant survives or does not apply, or when a test fails without any.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest

from local import stack
from local.errors import LocalWorldError
from local.stack import Stack
from tests.database.harness import MUTANT, STACK, opened
from tests.mutants.catalog import InCode, InDatabase, Mutant, in_code, in_database
from tests.mutation import copy_to


@dataclass(eq=False)  # pytest keeps its plugins in sets
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
    database = [mutant for mutant in in_database() if not names or mutant.name in names]
    code = [mutant for mutant in in_code() if not names or mutant.name in names]
    if unknown := set(names) - {mutant.name for mutant in (*database, *code)}:
        _say(f"There is no mutant {', '.join(sorted(unknown))}.")
        return 1
    survived = (_try_in_database(database) if database else 0) + (_try_in_code(code) if code else 0)
    together = len(database) + len(code)
    _say(f"{together - survived} of {together} mutants were caught.")
    return 1 if survived else 0


def _try_in_database(mutants: list[InDatabase]) -> int:
    """How many survived. Raises SystemExit when a test fails without any."""
    with stack.running("mutants") as server:
        code, printed = Run(server).of(_every_test(mutants))
        if code != pytest.ExitCode.OK:
            sys.exit(f"Without any mutant these tests have to pass:\n{printed}")
        survived = 0
        for mutant in mutants:
            run = Run(server, mutant.statements)
            problem = _does_not_apply(server, mutant)
            if problem is None:
                code, printed = run.of(mutant.tests)
                if code != pytest.ExitCode.TESTS_FAILED or not run.failed:
                    problem = f"SURVIVED\n{printed}"
            survived += problem is not None
            _tell(mutant, problem or f"caught by {run.failed[0]}")
    return survived


def _does_not_apply(server: Stack, mutant: InDatabase) -> str | None:
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


def _try_in_code(mutants: list[InCode]) -> int:
    """How many survived, in a copy of the code. Raises SystemExit when a test fails without any."""
    with TemporaryDirectory(prefix="mutants-") as name:
        folder = Path(name)
        copy_to(folder)
        code, printed = _pytest(folder, _every_test(mutants))
        if code != pytest.ExitCode.OK:
            sys.exit(f"Without any mutant these tests have to pass:\n{printed}")
        survived = 0
        for mutant in mutants:
            caught, told = _try_one(folder, mutant)
            survived += not caught
            _tell(mutant, told)
    return survived


def _try_one(folder: Path, mutant: InCode) -> tuple[bool, str]:
    """Whether it was caught, and by what or why not."""
    file = folder / mutant.file
    original = text = file.read_text()
    for old, new in mutant.replacements:
        if text.count(old) != 1:
            return False, f"DOES NOT APPLY: {mutant.file} does not hold this text exactly once: {old}"
        text = text.replace(old, new)
    file.write_text(text)
    try:
        code, printed = _pytest(folder, mutant.tests)
    finally:
        file.write_text(original)
    failed = [line.split()[1] for line in printed.splitlines() if line.startswith("FAILED ")]
    if code != pytest.ExitCode.TESTS_FAILED or not failed:
        return False, f"SURVIVED\n{printed}"
    return True, f"caught by {failed[0]}"


def _pytest(folder: Path, tests: tuple[str, ...]) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *tests, "-q", "-x", "-p", "no:cacheprovider", "--timeout=90"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": ".", "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def _every_test(mutants: list[InDatabase] | list[InCode]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(test for mutant in mutants for test in mutant.tests))


def _tell(mutant: Mutant, ending: str) -> None:
    _say(f"{mutant.name}\n    keeps    {mutant.keeps}\n    removed  {mutant.removes}\n    {ending}")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except LocalWorldError as refusal:
        sys.exit(str(refusal))
