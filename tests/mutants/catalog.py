"""Every mechanism that a promise rests on, and what takes it out: the mutants of this folder.

A file of SQL takes one out of the database, an entry of ``code.toml`` one out of the deployed code. Each
names the promise that the mechanism keeps and the tests that have to fail without it.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
PROMISES = (
    "never a second order",
    "never an order outside the policy",
    "never an order after a halt",
    "never a fact lost",
    "never more model calls than the budget",
    "never two at one job",
    "never one owner in another's way",
)
REPOSITORY = FOLDER.parents[1]
_NAMED = re.compile(
    r"substitute\(\s*'([\w.]+)'|(?<!create )(?:function|trigger|constraint|index)\s+(?:if exists\s+)?([\w.]+)"
)
_TOOL = FOLDER / "substitute.sql"


@dataclass(frozen=True)
class Mutant:
    """A mechanism that is taken out. `tests` have to catch it, as pytest names them."""

    name: str
    keeps: str
    removes: str
    tests: tuple[str, ...]


@dataclass(frozen=True)
class InDatabase(Mutant):
    """Taken out of every fresh database by `statements`."""

    statements: str


@dataclass(frozen=True)
class InCode(Mutant):
    """Taken out of `file` by replacing texts that stand there exactly once."""

    file: str
    replacements: tuple[tuple[str, str], ...]


def places(mutant: Mutant) -> list[tuple[str, str]]:
    """What the mechanism stands in, as a person calls it, and the file of that, from the repository's root.

    Raises LookupError when nothing of that name is in the SQL that production runs.
    """
    if isinstance(mutant, InCode):
        return [(mutant.file.rpartition("/")[2], mutant.file)]
    if not isinstance(mutant, InDatabase):
        raise TypeError(f"{mutant.name} is taken out of nothing that is known")
    own = mutant.statements.removeprefix(_TOOL.read_text())
    named = dict.fromkeys(next(filter(None, found)) for found in _NAMED.findall(own))
    return [(name.rpartition(".")[2], _file_of(name)) for name in named]


def _file_of(name: str) -> str:
    # An index is made without its schema, and dropped with it.
    schema, _, own = name.rpartition(".")
    qualified = rf"({re.escape(schema)}\.)?{re.escape(own)}"
    made = re.compile(rf"\b(function|trigger|constraint|index|view)\s+(if not exists\s+)?{qualified}\b")
    for file in sorted((REPOSITORY / "supabase").rglob("*.sql"), key=lambda file: "migrations" in file.parts):
        if "rollback" not in file.parts and made.search(file.read_text()):
            return file.relative_to(REPOSITORY).as_posix()
    raise LookupError(f"no SQL makes {name}")


def in_database() -> list[InDatabase]:
    """The mutants of the database, by name."""
    return [_of_sql(file) for file in sorted(FOLDER.glob("*.sql")) if file != _TOOL]


def in_code() -> list[InCode]:
    """The mutants of the code, by name."""
    entries = tomllib.loads((FOLDER / "code.toml").read_text())
    return [
        InCode(
            name=name,
            keeps=entry["keeps"],
            removes=entry["removes"],
            tests=tuple(f"tests/unit/{test}" for test in entry["caught_by"]),
            file=entry["file"],
            replacements=((entry["old"], entry["new"]), *([tuple(entry["also"])] if "also" in entry else ())),
        )
        for name, entry in sorted(entries.items())
    ]


def _of_sql(file: Path) -> InDatabase:
    text = file.read_text()

    def after(prefix: str) -> tuple[str, ...]:
        lines = text.splitlines()
        return tuple(line.removeprefix(prefix) for line in lines if line.startswith(prefix))

    return InDatabase(
        name=file.stem,
        keeps=after("-- Keeps: ")[0],
        removes="; ".join(after("-- Removes: ")),
        tests=after("-- Caught by: "),
        statements=_TOOL.read_text() + text,
    )
