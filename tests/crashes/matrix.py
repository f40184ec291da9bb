"""The matrix: which cells there are, which of them `make test` plays, and how it is written down."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from local.markdown import table
from tests.crashes import cell, stalled
from tests.crashes.cell import applies, meets
from tests.crashes.outcomes import ELSEWHERE, OUTCOMES, Outcome
from tests.crashes.stalled import STOPS, Span
from tests.crashes.steps import STEPS, Step

Cell = tuple[Step, Outcome]

CELLS: tuple[Cell, ...] = tuple(
    (step, outcome) for step in STEPS for outcome in OUTCOMES if applies(step, outcome)
)


def _short() -> tuple[Cell, ...]:
    """Every outcome once, where an order comes to it, and every step at least once."""
    used: Counter[Step] = Counter()
    chosen: list[Cell] = []
    for outcome in OUTCOMES:
        step = min((step for step in STEPS if meets(step, outcome)), key=lambda step: used[step])
        used[step] += 1
        chosen.append((step, outcome))
    chosen += ((step, OUTCOMES[0]) for step in STEPS if not used[step])
    return tuple(chosen)


SHORT = _short()


def name(of: Cell) -> str:
    """As a test and the command line name a cell."""
    return f"{of[0].name}-{of[1].name}"


def turn(of: Cell) -> int:
    """Which of its codes an outcome uses in this cell."""
    return STEPS.index(of[0])


def _letter(step: Step, outcome: Outcome) -> str:
    if not applies(step, outcome):
        return "·"
    halts = cell.orders_expected(step, outcome) > 1
    return cell.expected(step, outcome)[0] + ("H" if halts else "")


def _crash_matrix() -> str:
    numbers = tuple(str(number) for number, _ in enumerate(STEPS, 1))
    return table(
        ("outcome", *numbers),
        ((f"`{outcome.name}`", *(_letter(step, outcome) for step in STEPS)) for outcome in OUTCOMES),
    )


def _crash_steps() -> str:
    return table(
        ("", "step", "when the process is killed"),
        ((str(number), f"`{step.name}`", step.meaning) for number, step in enumerate(STEPS, 1)),
    )


def _crash_outcomes() -> str:
    rows: Iterable[tuple[str, ...]] = (
        (
            f"`{outcome.name}`",
            outcome.meaning,
            ", ".join(f"`{kind}`" for kind in sorted(outcome.kinds)) or "none",
            outcome.placed or "no order",
            outcome.told,
        )
        for outcome in OUTCOMES
    )
    return table(("outcome", "what the exchange does", "faults", "has in the end", "execute stores"), rows)


def _crash_elsewhere() -> str:
    return table(("fault", "why no outcome is made of it"), ((f"`{n}`", why) for n, why in ELSEWHERE.items()))


def _crash_stalls() -> str:
    return table(
        ("stopped when", *(f"for longer than {span.beyond}" for span in Span)),
        ((step.meaning, *(str(stalled.expected(step, span)) for span in Span)) for step in STOPS),
    )


TABLES: Mapping[str, Callable[[], str]] = {
    "crash_matrix": _crash_matrix,
    "crash_steps": _crash_steps,
    "crash_outcomes": _crash_outcomes,
    "crash_elsewhere": _crash_elsewhere,
    "crash_stalls": _crash_stalls,
}
