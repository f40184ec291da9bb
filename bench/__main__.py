"""`make bench`: run every bench and print one table. Exits 1 when a target is missed."""

from __future__ import annotations

import sys
from collections.abc import Callable

from rich.console import Console

from bench import scan_tick
from bench.table import Row, show
from local.errors import LocalWorldError

BENCHES: tuple[Callable[[], list[Row]], ...] = (scan_tick.many_beside_one,)


def main() -> None:
    """Benches run one after the other, so that none is in the way of another."""
    console = Console(width=None if sys.stdout.isatty() else 160)
    try:
        rows = [row for bench in BENCHES for row in bench()]
    except LocalWorldError as error:
        sys.exit(f"make bench: {error}")
    show(rows, console)
    missed = [row for row in rows if not row.met]
    for row in missed:
        console.print(
            f"Missed: {row.what} takes {row.ratio:.3f} times {row.against_what}, not {row.target:.2f}."
        )
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
