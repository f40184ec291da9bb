"""Mechanisms that are taken out on purpose: a soak that does not notice proves nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType

from functions.execute import protocol
from local.stack import Stack
from tests.mutants.catalog import FOLDER, in_code, in_database
from tests.soak.schedule import Played, play

_LIMITS = """
select pg_temp.substitute('interlock.value_check', 'p_used + p_order_value <= p_limit', 'true');
"""


class NothingPlantedError(Exception):
    """There is no mechanism of this name that the soak can take out."""


@dataclass(frozen=True)
class Planted:
    """Mechanisms that are missing, what the judge says of it, and the seeds that it may take."""

    without: tuple[str, ...]
    says: str
    seeds: int


PLANTED = (
    Planted(("never_sent_again",), "sent", 20),
    Planted(("decided_again",), "was claimed although", 40),
    Planted(("value_limits",), "EUR of the day were used|EUR were used", 40),
    Planted(("attempt_of_a_claim", "only_the_own_claim"), "and was claimed by|is sent a second time", 1000),
    Planted(("second_round",), "before anybody looked", 1000),
    Planted(("fact_wins",), "is NOT_PLACED, stored", 100),
)


def playing_without(names: Sequence[str]) -> Callable[[Stack, int], Played]:
    """How to play a seed without these mechanisms: of tests/mutants, or the limits of value.

    Raises NothingPlantedError when the soak cannot take one out.
    """
    statements = {mutant.name: mutant.statements for mutant in in_database()}
    statements["value_limits"] = (FOLDER / "substitute.sql").read_text() + _LIMITS
    replacements = {
        changed.name: changed.replacements
        for changed in in_code()
        if changed.file == "functions/execute/protocol.py"
    }
    if unknown := set(names) - {*statements, *replacements}:
        raise NothingPlantedError(f"The soak cannot take out {', '.join(sorted(unknown))}.")
    return partial(
        play,
        statements="".join(statements[name] for name in names if name in statements) or None,
        code=_changed([texts for name in names if name in replacements for texts in replacements[name]]),
    )


def _changed(replacements: Sequence[tuple[str, str]]) -> ModuleType:
    """Execute's protocol, as a module of its own when texts of it are replaced."""
    if not replacements:
        return protocol
    file = Path(str(protocol.__file__))
    text = file.read_text()
    for old, new in replacements:
        if text.count(old) != 1:
            raise NothingPlantedError(f"{file.name} does not hold this text exactly once: {old}")
        text = text.replace(old, new)
    module = ModuleType(protocol.__name__)
    exec(compile(text, str(file), "exec"), module.__dict__)  # noqa: S102 - our own file, one text replaced
    return module
