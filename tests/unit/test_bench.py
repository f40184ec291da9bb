"""The table of the benches says plainly what was missed."""

from io import StringIO

import pytest
from rich.console import Console

from bench.table import Row, Sample, show

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("figures", "said"),
    [((2.5, 2.4, 9.0), "met"), ((2.51, 2.6, 2.0), "missed")],
    ids=["at the target, one measurement astray", "above it"],
)
def test_a_row_is_judged_by_its_medians(figures: tuple[float, ...], said: str) -> None:
    """Median over median decides, the target itself is met, and the table says which."""
    row = Row("a tick of many", Sample(figures, "s"), "a tick of one", Sample((2.0, 1.9, 2.1), "s"), 1.25)
    text = StringIO()

    show([row], Console(file=text, width=160))

    assert row.met == (said == "met")
    assert said in text.getvalue()
    assert f"{row.ratio:.3f}" in text.getvalue()
