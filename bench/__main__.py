"""``make bench``: run every bench, print one table and keep the figures for the document.

Exits 1 when a target is missed. Benches that are named run alone, and nothing is kept of them.
"""

from __future__ import annotations

import sys

from rich.console import Console

from bench import run
from bench.catalog import BENCHES
from bench.table import Row, show
from local.errors import LocalWorldError


def main(names: list[str]) -> None:
    """Benches run one after the other, so that none is in the way of another."""
    unknown = set(names) - {bench.name for bench in BENCHES}
    if unknown:
        sys.exit(f"make bench: there is no {', '.join(sorted(unknown))}, but {_names()}")
    console = Console(width=None if sys.stdout.isatty() else 200)
    measured: dict[str, tuple[Row, ...]] = {}
    try:
        for bench in BENCHES:
            if not names or bench.name in names:
                console.print(f"[bold]{bench.title}[/bold]")
                measured[bench.name] = tuple(bench.measure())
                show(measured[bench.name], console)
                console.print()
    except LocalWorldError as error:
        sys.exit(f"make bench: {error}")
    if not names:
        run.keep(run.Run.of(measured))
    missed = [row for rows in measured.values() for row in rows if row.missed]
    for row in missed:
        console.print(f"Missed: {row.what} is {row.ratio:.3f} times {row.against_what}, target {row.target}.")
    sys.exit(1 if missed else 0)


def _names() -> str:
    return ", ".join(bench.name for bench in BENCHES)


if __name__ == "__main__":
    main(sys.argv[1:])
