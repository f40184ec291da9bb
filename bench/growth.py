"""What calls cost among a million rows beside what they cost among ten thousand: counted, not timed."""

from __future__ import annotations

from bench import due_jobs
from bench.table import Bench, Row, Sample, at_most
from local import stack
from tests.database.growth import FEW, MILLION, compared
from tests.database.harness import opened


def a_million_beside_ten_thousand() -> list[Row]:
    """Rows of the calls that the tests count as well; one that reads a whole table fails there."""
    with stack.running("bench-growth") as base:
        url = stack.fresh_database(base)
        with opened(url) as database:
            costs = compared(database, due_jobs.as_superuser(base, url), MILLION)
    return [
        Row(
            f"{name} among {MILLION:,} rows",
            Sample((after.buffers,), "buffers"),
            f"among {FEW:,}, and one a descent",
            Sample((before.buffers + after.descents,), "buffers"),
            at_most(1),
            f"{before.buffers} among {FEW:,}, {after.descents} descents",
        )
        for name, (before, after) in costs.items()
    ]


BENCH = Bench(
    "growth",
    "Among many rows",
    f"""
Pages that a call touches (Postgres buffers) with {MILLION:,} rows in every table that grows, beside the same
call with {FEW:,}. A B-tree of so many rows is one level higher, so each descent of one may add one page.
`make test` holds the same for fewer rows.
""",
    a_million_beside_ten_thousand,
)
