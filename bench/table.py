"""The rows of the table: a figure, what it is held against, and the ratio that decides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Sample:
    """Measurements of one thing in one unit; the median stands for them, since a busy machine only adds."""

    values: tuple[float, ...]
    unit: str

    @property
    def median(self) -> float:
        """The middle measurement."""
        return median(self.values)

    def __str__(self) -> str:
        middle, least, most = (number(value) for value in (self.median, min(self.values), max(self.values)))
        return f"{middle} {self.unit}" + (f" ({least} to {most})" if least != most else "")


@dataclass(frozen=True)
class Target:
    """What the ratio has to be; made by `at_most` and `at_least`."""

    bound: Literal["≤", "≥"]
    ratio: float

    def kept(self, ratio: float) -> bool:
        """Whether this ratio is what was promised; the target itself is."""
        return ratio <= self.ratio if self.bound == "≤" else ratio >= self.ratio

    def distance(self, ratio: float) -> float:
        """How many times too much or too little: 1 at the target, less where it is kept."""
        return ratio / self.ratio if self.bound == "≤" else self.ratio / ratio

    def __str__(self) -> str:
        return f"{self.bound} {self.ratio:.2f}"


def at_most(ratio: float) -> Target:
    """Less is better: seconds, bytes, calls."""
    return Target("≤", ratio)


def at_least(ratio: float) -> Target:
    """More is better: things done a second."""
    return Target("≥", ratio)


@dataclass(frozen=True)
class Row:
    """`figure` beside `against`. With a target it is a promise, without one it is there to be known."""

    what: str
    figure: Sample
    against_what: str
    against: Sample
    target: Target | None = None
    note: str = ""

    @property
    def ratio(self) -> float:
        """Median over median."""
        return self.figure.median / self.against.median

    @property
    def missed(self) -> bool:
        """Whether a promise is broken."""
        return self.target is not None and not self.target.kept(self.ratio)


@dataclass(frozen=True)
class Bench:
    """Rows that are measured together, on a stack of this bench's own."""

    name: str
    title: str
    how: str
    """A paragraph of Markdown: what is done, how often, and what is left out."""
    measure: Callable[[], list[Row]]
    """Raises LocalWorldError where what it measures does not work."""


def number(value: float) -> str:
    """Three digits that count; whole numbers whole."""
    return f"{value:,.0f}" if value >= 100 or value == round(value) else f"{value:.3g}"


def show(rows: Sequence[Row], console: Console) -> None:
    """Print the table; a row that misses its target says so."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for heading in ("what", "figure", "against", "", "ratio", "target", ""):
        table.add_column(heading)
    for row in rows:
        table.add_row(
            row.what,
            str(row.figure),
            row.against_what,
            str(row.against),
            f"{row.ratio:.3f}",
            "" if row.target is None else str(row.target),
            _verdict(row),
        )
    console.print(table)


def _verdict(row: Row) -> str:
    if row.target is None:
        return row.note
    verdict = "[bold red]missed[/bold red]" if row.missed else "[green]met[/green]"
    return f"{verdict} {row.note}".rstrip()
