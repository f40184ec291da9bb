"""``make bench-document``: docs/PERFORMANCE.md and its plots, made from the latest three runs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench import plot, run
from bench.catalog import BENCHES
from bench.table import Bench, Row, Target, number
from local.markdown import table
from local.stack import REPOSITORY

RUNS = 3
DOCUMENT = REPOSITORY / "docs" / "PERFORMANCE.md"
_IMAGES = Path("images")
_HEADS = ("what", "figure", "against", "", "ratio", "target", "")
_INTRODUCTION = """\
# Performance

What Interlock costs, each figure a ratio against something measured beside it in the same run, since seconds
differ from one machine and hour to the next. `make bench` measures and prints it, and says what is missed;
after {runs} runs `make bench-document` writes this page and its plots.

Every figure is the middle of the {runs} latest runs, and in brackets the least and the most of them; a run's
own figure is the median of its repetitions. A target is met when every run met it.

Measured on {machine}, {taken}.
The local Postgres waits for no disk (`fsync` off), on every side of every comparison.
"""


@dataclass(frozen=True)
class Line:
    """One row as several runs measured it."""

    rows: tuple[Row, ...]

    @property
    def row(self) -> Row:
        """What it says of itself, as the latest run has it."""
        return self.rows[-1]

    @property
    def missed(self) -> int:
        """In how many runs."""
        return sum(row.missed for row in self.rows)

    def spread(self, figure: Callable[[Row], float]) -> str:
        """The middle run, and all of them in brackets."""
        values = [figure(row) for row in self.rows]
        middle, least, most = (number(value) for value in (median(values), min(values), max(values)))
        return middle if least == most else f"{middle} ({least} to {most})"

    def cells(self) -> tuple[str, ...]:
        """A line of the document's table."""
        return (
            self.row.what,
            f"{self.spread(lambda row: row.figure.median)} {self.row.figure.unit}",
            self.row.against_what,
            f"{self.spread(lambda row: row.against.median)} {self.row.against.unit}",
            self.spread(lambda row: row.ratio),
            "" if self.row.target is None else str(self.row.target),
            " ".join(filter(None, (self.verdict(), self.row.note))),
        )

    def verdict(self) -> str:
        """Met or missed, and how often, where it is not always."""
        if self.row.target is None:
            return ""
        if not self.missed:
            return "met"
        return "**missed**" if self.missed == len(self.rows) else f"**missed** in {self.missed} runs"


def main() -> None:
    """Write the document from the latest runs; says what to do when there are too few."""
    runs = run.latest(RUNS)
    names = {bench.name for bench in BENCHES}
    if len(runs) < RUNS or any(set(each.rows) != names for each in runs):
        sys.exit(f"make bench-document: it tells of {RUNS} runs of today's benches: run `make bench` first.")
    for path, text in rendered(runs, BENCHES).items():
        path.write_text(text)


def rendered(runs: Sequence[run.Run], benches: Sequence[Bench]) -> dict[Path, str]:
    """The document and its plots, by where they go."""
    lines = {bench.name: _lines(bench, runs) for bench in benches}
    promised = [(line, line.row.target) for name in lines for line in lines[name] if line.row.target]
    files = {_place("performance"): plot.distances([_distance(*each) for each in promised])}
    parts = [
        _INTRODUCTION.format(runs=len(runs), machine=_machines(runs), taken=_days(runs)),
        _image("performance", "How far each figure is from its target, run by run"),
        _missed([line for line, _ in promised]),
    ]
    for bench in benches:
        parts += [f"## {bench.title}\n", bench.how.strip() + "\n"]
        bars = _bars(lines[bench.name])
        if bars:
            name = f"performance_{bench.name}"
            files[_place(name)] = plot.bars(bars)
            parts.append(_image(name, f"{bench.title}: in {lines[bench.name][0].row.figure.unit}"))
        parts.append(table(_HEADS, (line.cells() for line in lines[bench.name])) + "\n")
    return {DOCUMENT: "\n".join(parts)} | files


def _lines(bench: Bench, runs: Sequence[run.Run]) -> list[Line]:
    latest = runs[-1].rows[bench.name]
    found = [{(row.what, row.against_what): row for row in each.rows[bench.name]} for each in runs]
    if any(list(rows) != list(found[-1]) for rows in found):
        sys.exit(f"make bench-document: the latest runs of {bench.name} measured different things.")
    return [Line(tuple(rows[row.what, row.against_what] for rows in found)) for row in latest]


def _missed(promised: Sequence[Line]) -> str:
    missed = [line for line in promised if line.missed]
    if not missed:
        return f"All {len(promised)} targets are met.\n"
    return (
        f"{len(missed)} of {len(promised)} targets are missed:\n\n"
        + "\n".join(
            f"- {line.row.what}, against {line.row.against_what}: "
            f"{line.spread(lambda row: row.ratio)}, target {line.row.target}"
            for line in missed
        )
        + "\n"
    )


def _distance(line: Line, target: Target) -> plot.Spread:
    return plot.Spread(
        f"{line.row.what} / {line.row.against_what}",
        tuple(target.distance(row.ratio) for row in line.rows),
        bool(line.missed),
        f"{median(row.ratio for row in line.rows):.2f} {target}",
    )


def _bars(lines: Sequence[Line]) -> list[plot.Spread]:
    """One bar for each thing measured, where three or more share a unit."""
    if len({sample.unit for line in lines for sample in (line.row.figure, line.row.against)}) > 1:
        return []
    found: dict[str, plot.Spread] = {}
    for line in lines:
        for label, values, is_ours in (
            (line.row.what, tuple(row.figure.median for row in line.rows), True),
            (line.row.against_what, tuple(row.against.median for row in line.rows), False),
        ):
            found.setdefault(f"{label} {values}", plot.Spread(label, values, is_ours, number(median(values))))
    return list(found.values()) if len(found) > 2 else []


def _place(name: str) -> Path:
    return DOCUMENT.parent / _IMAGES / f"{name}.svg"


def _image(name: str, says: str) -> str:
    return f"![{says}]({_IMAGES / name}.svg)\n"


def _machines(runs: Sequence[run.Run]) -> str:
    return "; ".join(dict.fromkeys(str(each.machine) for each in runs))


def _days(runs: Sequence[run.Run]) -> str:
    return " and ".join(dict.fromkeys(f"{each.taken_at:%-d %B %Y}" for each in runs))


if __name__ == "__main__":
    main()
