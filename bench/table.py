"""The rows of the table: a figure, what it is held against, and the ratio that decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

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
        return f"{self.median:.2f} {self.unit} ({min(self.values):.2f} to {max(self.values):.2f})"


@dataclass(frozen=True)
class Row:
    """One promise: `figure` is at most `target` times `against`."""

    what: str
    figure: Sample
    against_what: str
    against: Sample
    target: float

    @property
    def ratio(self) -> float:
        """Median over median."""
        return self.figure.median / self.against.median

    @property
    def met(self) -> bool:
        """Whether the promise is kept."""
        return self.ratio <= self.target


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
            f"≤ {row.target:.2f}",
            "[green]met[/green]" if row.met else "[bold red]missed[/bold red]",
        )
    console.print(table)
