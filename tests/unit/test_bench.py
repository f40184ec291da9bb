"""The benches say plainly what was missed, at the terminal and in the document."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from bench import run
from bench.document import DOCUMENT, rendered
from bench.run import Machine, Run
from bench.table import Bench, Row, Sample, Target, at_least, at_most, show

pytestmark = pytest.mark.unit

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
MACHINE = Machine("Linux x86_64", 2, 8, "3.11.0", "17.5")
ROW = Row("a tick of many", Sample((2.4,), "s"), "a tick of one", Sample((2.0,), "s"), at_most(1.25))


@pytest.mark.parametrize(
    ("figures", "target", "said"),
    [
        ((2.5, 2.4, 9.0), at_most(1.25), "met"),
        ((2.51, 2.6, 2.0), at_most(1.25), "missed"),
        ((2.5, 0.1, 2.6), at_least(1.25), "met"),
        ((2.49, 2.6, 2.0), at_least(1.25), "missed"),
    ],
)
def test_a_row_is_judged_by_its_medians(figures: tuple[float, ...], target: Target, said: str) -> None:
    """Median over median decides, the target itself is met, and the table says which."""
    row = Row("a tick of many", Sample(figures, "s"), "a tick of one", Sample((2.0, 1.9, 2.1), "s"), target)
    text = StringIO()

    show([row], Console(file=text, width=160))

    assert row.missed == (said == "missed")
    assert said in text.getvalue()
    assert f"{row.ratio:.3f}" in text.getvalue()


def test_a_row_without_a_target_is_never_missed() -> None:
    """It is there to be known."""
    assert not replace(ROW, target=None).missed


def test_a_run_is_read_as_it_was_kept(tmp_path: Path) -> None:
    """Of the runs that were kept, the latest ones come back, the oldest of them first."""
    rows = {"scan_tick": (ROW, replace(ROW, target=None, note="fences"))}
    runs = [Run(NOON + timedelta(minutes=minutes), MACHINE, rows) for minutes in (0, 10, 20)]
    for each in runs:
        run.keep(each, tmp_path)

    assert run.latest(2, tmp_path) == runs[1:]


@pytest.mark.parametrize(
    ("ratios", "says"),
    [
        ((1.2, 1.1, 1.25), "| met |"),
        ((1.2, 1.3, 1.1), "**missed** in 1 runs"),
        ((1.4, 1.3, 1.5), "**missed** |"),
    ],
    ids=["met in all runs", "missed in one", "missed in all"],
)
def test_the_document_says_what_was_missed(ratios: tuple[float, ...], says: str) -> None:
    """One run that missed a target is enough; figures stand there with their spread."""
    runs = [
        Run(NOON, MACHINE, {"scan_tick": (replace(ROW, figure=Sample((2 * ratio,), "s")),)})
        for ratio in ratios
    ]
    bench = Bench("scan_tick", "A tick", "How it is done.", list)

    files = rendered(runs, [bench])

    text = files[DOCUMENT]
    assert says in text
    assert f"({min(ratios):.3g} to {max(ratios):.3g})" in text
    assert all(str(path.relative_to(DOCUMENT.parent)) in text for path in files if path != DOCUMENT)
