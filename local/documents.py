"""``make docs``: the tables of the documents, made from the code that they describe.

A table stands between ``<!-- name -->`` and ``<!-- /name -->``; whatever is between them is written anew.
A test says when a document is stale.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from cli.rules import FIELDS
from functions.execute.checks import CHECKS
from functions.execute.outcome import ERROR_CODES
from local.markdown import table
from shared.environment import VARIABLES
from shared.events import Event, Layer, Severity
from tests.crashes.matrix import TABLES as CRASHES
from tests.mutants.catalog import PROMISES, in_code, in_database, places

REPOSITORY = Path(__file__).resolve().parents[1]
DOCUMENTS = tuple(
    REPOSITORY / "docs" / name for name in ("HARDENING.md", "CRASHES.md", "EVENTS.md", "POLICY.md")
)


def main() -> None:
    """Write every table anew."""
    for document in DOCUMENTS:
        document.write_text(rendered(document.read_text()))


def rendered(text: str) -> str:
    """The document with every marked table as the code has it now. Raises KeyError for an unknown mark."""
    return re.sub(
        r"<!-- (\w+) -->\n.*?<!-- /\1 -->",
        lambda found: f"<!-- {found[1]} -->\n{TABLES[found[1]]()}\n<!-- /{found[1]} -->",
        text,
        flags=re.DOTALL,
    )


def _checks() -> str:
    return table(
        ("check", "demands", "fails with", "decided by", "facts"),
        (
            (
                f"`{check.name}`",
                check.demands,
                _codes(check.codes),
                "market facts" if check.needs_market else "the database",
                _codes(check.facts),
            )
            for check in CHECKS
        ),
    )


def _error_codes() -> str:
    return table(
        ("code", "HTTP", "meaning", "fate of the order"),
        (
            (f"{row.code}", f"{row.http_status}", row.meaning, str(row.fate))
            for row in sorted(ERROR_CODES.values(), key=lambda row: row.code)
        ),
    )


def _events() -> str:
    return table(
        ("event", "layer", "severity", "says"),
        ((f"`{event}`", str(event.layer), str(event.severity), event.says) for event in Event),
    )


def _alerts() -> str:
    return table(
        ("event", "wakes a person", "says", "what to do"),
        (
            (
                f"`{event}`",
                event.alert.when(),
                event.says,
                f"[{event.alert.page.replace('-', ' ')}](OPERATIONS.md#{event.alert.page})",
            )
            for event in Event
            if event.alert is not None
        ),
    )


def _layers() -> str:
    return table(("layer", "speaks of"), ((f"`{layer}`", layer.about) for layer in Layer))


def _severities() -> str:
    return table(
        ("severity", "asks of a person"), ((f"`{severity}`", severity.asks) for severity in Severity)
    )


def _variables() -> str:
    return table(
        ("variable", "execute", "scan_tick", "cleanup", "meaning"),
        (
            (f"`{variable.name}`", variable.execute, variable.scan_tick, variable.cleanup, variable.meaning)
            for variable in VARIABLES
        ),
    )


def _mutants() -> str:
    mutants = sorted([*in_database(), *in_code()], key=lambda mutant: PROMISES.index(mutant.keeps))
    return table(
        ("guarantee", "mechanism", "file", "test"),
        (
            (
                mutant.keeps,
                mutant.removes,
                "<br>".join(f"[`{shown}`](../{file})" for shown, file in places(mutant)),
                "<br>".join(f"`{test.removeprefix('tests/')}`" for test in mutant.tests),
            )
            for mutant in mutants
        ),
    )


def _policy() -> str:
    return table(
        ("field", "meaning", "unit", "range", "default", "looser is"),
        (
            (
                f"`{field.path}`",
                field.meaning,
                field.unit,
                field.range,
                f"`{json.dumps(field.default)}`",
                field.looser.value,
            )
            for field in FIELDS
        ),
    )


def _codes(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


TABLES: Mapping[str, Callable[[], str]] = {
    "policy": _policy,
    "checks": _checks,
    "error_codes": _error_codes,
    "events": _events,
    "alerts": _alerts,
    "layers": _layers,
    "severities": _severities,
    "variables": _variables,
    "mutants": _mutants,
    **CRASHES,
}


if __name__ == "__main__":
    main()
