"""``python -m tests.crashes [STEP [OUTCOME]]``: play the cells of the matrix that match, and print them.

STEP and OUTCOME are names of docs/CRASHES.md, with * for any part of one. Exits 1 when a cell is otherwise
than the document says.
"""

from __future__ import annotations

import sys
import time
from fnmatch import fnmatchcase

from rich.console import Console
from rich.table import Table

from local.errors import LocalWorldError
from tests.crashes.cell import play
from tests.crashes.deployment import Deployment, deployment
from tests.crashes.matrix import CELLS, Cell, turn
from tests.crashes.outcomes import Outcome
from tests.crashes.steps import Step

_LETTERS = "F filled, C canceled, R rejected, N not placed, ! otherwise than it has to be"


def main(arguments: list[str]) -> int:
    """Play and print; the exit code."""
    step, outcome = (*arguments, "*", "*")[:2]
    cells = [one for one in CELLS if fnmatchcase(one[0].name, step) and fnmatchcase(one[1].name, outcome)]
    if len(arguments) > 2 or not cells:
        sys.stderr.write(f"{__doc__}")
        return 2
    console = Console(highlight=False)
    ends: dict[Cell, str] = {}
    began = time.monotonic()
    with deployment() as place:
        for one in cells:
            ends[one] = _play(console, place, one)
    console.print(_table(ends))
    console.print(_LETTERS)
    wrong = sum(end == "!" for end in ends.values())
    console.print(f"{len(ends) - wrong} of {len(ends)} cells in {time.monotonic() - began:.0f} s.")
    return 1 if wrong else 0


def _play(console: Console, place: Deployment, one: Cell) -> str:
    step, outcome = one
    began = time.monotonic()
    try:
        end = play(place, step, outcome, turn(one))
    except AssertionError as error:
        place.resume()
        console.print(f"[red]{step.name:22} {outcome.name:28} {str(error) or 'is not as it has to be'}[/red]")
        return "!"
    console.print(f"{step.name:22} {outcome.name:28} {end:12} [dim]{time.monotonic() - began:.1f} s[/dim]")
    return end[0]


def _table(ends: dict[Cell, str]) -> Table:
    steps: dict[Step, None] = dict.fromkeys(step for step, _ in ends)
    outcomes: dict[Outcome, None] = dict.fromkeys(outcome for _, outcome in ends)
    table = Table(box=None, header_style="dim", padding=(0, 1, 0, 0))
    table.add_column("outcome")
    for step in steps:
        table.add_column("\n".join(step.name.split("-")), no_wrap=True)
    for outcome in outcomes:
        table.add_row(outcome.name, *(ends.get((step, outcome), "·") for step in steps))
    return table


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except LocalWorldError as refusal:
        sys.exit(str(refusal))
