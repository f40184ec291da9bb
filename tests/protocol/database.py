"""What the database holds of one proposal, and what its RPCs make of it: the SQL's rules, as values.

`tests/database/test_protocol_model` carries out every call in every state that is reachable here on a real
database too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from functions.cleanup.absence import BEYOND_THE_WINDOW_MS

_MIGRATIONS = Path(__file__).resolve().parents[2] / "supabase" / "migrations"


def _apart_ms() -> int:
    sql = (_MIGRATIONS / "20261124101200_cleanup_rpcs.sql").read_text()
    found = re.search(r"c_apart constant interval := '(\d+) seconds'", sql)
    assert found is not None
    return int(found[1]) * 1000


TICK_MS = _apart_ms()
"""Time goes by in steps as long as the two rounds must be apart."""
APART = 1
WINDOW = 1
"""An access window is at most 10 s, less than a step: it is given a whole one."""
BEYOND = BEYOND_THE_WINDOW_MS // TICK_MS
"""Steps after the window before finding nothing counts."""
FENCE = WINDOW + BEYOND

GONE = 2
"""The attempt of a process that is no more: nobody can repeat it."""

DIAGRAM: Mapping[str, frozenset[str]] = {
    "CLAIMED": frozenset({"UNKNOWN", "OPEN", "FILLED", "CANCELED", "REJECTED", "NOT_PLACED"}),
    "UNKNOWN": frozenset({"OPEN", "FILLED", "CANCELED", "REJECTED", "NOT_PLACED"}),
    "OPEN": frozenset({"FILLED", "CANCELED"}),
    # A fact wins over a conclusion.
    "NOT_PLACED": frozenset({"OPEN", "FILLED", "CANCELED"}),
    "REJECTED": frozenset({"OPEN", "FILLED", "CANCELED"}),
    "FILLED": frozenset(),
    "CANCELED": frozenset(),
}
"""How a status may move. PARTIALLY_FILLED moves as OPEN does, and is left out."""

STATUS = {"new": "OPEN", "filled": "FILLED", "canceled": "CANCELED"}
"""What the exchange's words for an order mean."""
OPEN_QUESTIONS = ("CLAIMED", "UNKNOWN")
CONCLUSIONS = ("NOT_PLACED", "REJECTED")


class Rules(NamedTuple):
    """The rules of the protocol, each of which can be taken out."""

    stored_timestamp: bool = True
    attempt_id: bool = True
    two_rounds: bool = True
    fact_wins: bool = True
    waits_beyond_the_window: bool = True
    looks_first: bool = True
    sends_once: bool = True
    compares: bool = True


class Execution(NamedTuple):
    """An execution's row. What no longer matters is not kept: attempt and ages of what is settled."""

    status: str
    attempt: int = GONE
    age: int = 0
    """Since the access timestamp, up to `FENCE`."""
    order: int = -1
    """The order at the exchange that it names; -1 is none."""
    round_age: int = -1
    """Since a first round found nothing, up to `APART`; -1 is never."""


class Database(NamedTuple):
    """The row, the global halt, and the orders that the audit tells of as contradictions."""

    execution: Execution | None = None
    halted: bool = False
    told: frozenset[int] = frozenset()

    def aged(self) -> Database:
        """A step later."""
        row = self.execution
        if row is None or row.status not in OPEN_QUESTIONS:
            return self
        return self._replace(
            execution=row._replace(
                age=min(row.age + 1, FENCE),
                round_age=row.round_age if row.round_age < 0 else min(row.round_age + 1, APART),
            )
        )

    def forgets(self, process: int) -> Database:
        """A process is gone, and its attempt with it."""
        row = self.execution
        if row is None or row.attempt != process:
            return self
        return self._replace(execution=row._replace(attempt=GONE))


Answer = tuple[str, Database]


def claim(database: Database, process: int, age: int, rules: Rules) -> Answer:
    """`claim_execution` of the attempt that this process made, with a timestamp of this age."""
    row = database.execution
    if row is not None:
        same = row.attempt == process or not rules.attempt_id
        return ("claimed" if same and row.status == "CLAIMED" else "exists"), database
    if database.halted or age > 0:
        return "refused", database
    return "claimed", database._replace(execution=Execution("CLAIMED", process))


def record(database: Database, process: int, outcome: str, order: int, word: str, rules: Rules) -> Answer:
    """`record_execution_result`; with `process` GONE it is cleanup's."""
    row = database.execution
    if row is None:
        return "PT404", database
    if outcome == "placed":
        return _placed(database, row, order, word, rules)
    if outcome != "unknown" and row.attempt != process:
        return "unchanged", database
    return _concluded(database, row, outcome)


def record_absence(database: Database, late: bool, apart: bool, rules: Rules) -> Answer:
    """`record_absence`, of a run that began after the fence (`late`) and after a first round (`apart`)."""
    row = database.execution
    if row is None:
        return "PT404", database
    if row.status not in OPEN_QUESTIONS:
        return "unchanged", database
    if row.order >= 0 or not late:
        return "refused", database
    if rules.two_rounds and row.round_age < 0:
        return "first_round", database._replace(execution=row._replace(round_age=0))
    if rules.two_rounds and not apart:
        return "too_soon", database
    return "concluded", _concluded(database, row, "not_placed")[1]


def compare(database: Database, seen: tuple[str, ...], rules: Rules) -> Database:
    """`compare_orders` of a complete read; `seen` has the word for each order, '' for one not shown."""
    for order, word in enumerate(seen):
        if not word:
            continue
        row = database.execution
        explained = row is not None and (
            row.order == order or (row.order < 0 and row.status in (*OPEN_QUESTIONS, *CONCLUSIONS))
        )
        if row is not None:
            database = _placed(database, row, order, word, rules)[1]
        if not explained:
            database = _tell(database, order)
    return database


def _placed(database: Database, row: Execution, order: int, word: str, rules: Rules) -> Answer:
    if row.order not in (-1, order):
        known = order in database.told
        return ("unchanged" if known else "contradicted"), _tell(database, order)
    if row.status in ("FILLED", "CANCELED") and word == "new":
        return "unchanged", database
    if row.order < 0 and row.status in CONCLUSIONS:
        if not rules.fact_wins:
            return "unchanged", database
        moved = Execution(STATUS[word], order=order)
        return "contradicted", _tell(database._replace(execution=moved), order)
    status = STATUS[word] if STATUS[word] in DIAGRAM[row.status] else row.status
    return "recorded", database._replace(execution=Execution(status, order=order))


def _concluded(database: Database, row: Execution, outcome: str) -> Answer:
    if row.status not in OPEN_QUESTIONS or row.order >= 0 or outcome.upper() == row.status:
        return "unchanged", database
    moved = row._replace(status="UNKNOWN") if outcome == "unknown" else Execution(outcome.upper())
    return "recorded", database._replace(execution=moved)


def _tell(database: Database, order: int) -> Database:
    """Audit a contradiction, and halt trading when it is first seen."""
    if order in database.told:
        return database
    return database._replace(halted=True, told=database.told | {order})
