"""Whenever the process is killed and whatever the exchange does: at most one order, and the truth in the end.

docs/CRASHES.md shows what each cell ends with; `python -m tests.crashes STEP OUTCOME` plays one alone.
"""

from __future__ import annotations

from itertools import pairwise

import pytest

from functions.execute.outcome import ERROR_CODES
from local.exchange.faults import KINDS
from tests.crashes import cell
from tests.crashes.deployment import Deployment
from tests.crashes.matrix import CELLS, SHORT, Cell, name, turn
from tests.crashes.outcomes import ELSEWHERE, OUTCOMES
from tests.crashes.steps import STEPS, Call

EACH_ONCE = pytest.mark.parametrize("of", SHORT, ids=name)


@EACH_ONCE
def test_every_step_and_every_outcome_once(place: Deployment, of: Cell) -> None:
    """Each step is hit by a kill, each outcome comes to an order, and each cell ends as it has to."""
    cell.play(place, *of, turn(of))


@pytest.mark.soak
@pytest.mark.parametrize("of", [of for of in CELLS if of not in SHORT], ids=name)
def test_every_step_with_every_outcome(place: Deployment, of: Cell) -> None:
    """All other cells."""
    cell.play(place, *of, turn(of))


def test_the_audit_of_all_that_is_whole(place: Deployment) -> None:
    """After every crash the chain of seals holds."""
    assert place.audit_is_whole()


@pytest.mark.unit
def test_each_step_and_each_outcome_is_played_in_every_run() -> None:
    """Of the short choice no step and no outcome is missing, and an order comes to each outcome."""
    assert {step for step, _ in SHORT} == set(STEPS)
    assert {outcome.name for step, outcome in SHORT if cell.meets(step, outcome)} == {
        outcome.name for outcome in OUTCOMES
    }
    assert len({name(of) for of in CELLS}) == len(CELLS)


@pytest.mark.unit
def test_every_call_of_the_protocol_has_its_steps() -> None:
    """No call of execute is left out, and they come in the protocol's order."""
    assert {step.call for step in STEPS} == set(Call)
    assert all(before.call <= after.call for before, after in pairwise(STEPS))


@pytest.mark.unit
def test_every_fault_of_the_exchange_is_an_outcome_or_told_why_not() -> None:
    """A fault that is added to the exchange's table is thought of here as well."""
    used = set[str]().union(*(outcome.kinds for outcome in OUTCOMES))
    assert used | set(ELSEWHERE) == set(KINDS)
    assert not used & set(ELSEWHERE)


@pytest.mark.unit
def test_every_kind_of_code_is_an_outcome() -> None:
    """Each group of codes that share HTTP status and fate comes to an order, its codes in turns."""
    used = {
        (fault["error_code"], fault["http_status"])
        for outcome in OUTCOMES
        for number in range(len(ERROR_CODES))
        for fault in outcome.faults(number)
        if "error_code" in fault
    }
    assert used == {(row.code, row.http_status) for row in ERROR_CODES.values()}
