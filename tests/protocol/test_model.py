"""The protocol keeps its promises in every interleaving, and each of its rules is there for a reason."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.protocol.cases import BEYOND, CASES, WHOLE, WITHOUT, explore_all
from tests.protocol.search import Explored

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def explored() -> Mapping[str, Explored]:
    """Each case, explored once, side by side."""
    return dict(explore_all(CASES))


@pytest.mark.parametrize("name", WHOLE)
def test_no_interleaving_breaks_the_protocol(explored: Mapping[str, Explored], name: str) -> None:
    """At most one order, no false conclusion, the truth in every end, and from everywhere a way to one."""
    found = explored[name]
    assert found.broken is None, found.told()
    assert found.states > 10_000
    assert found.ends > 10


@pytest.mark.parametrize("name", WITHOUT)
def test_without_one_of_its_rules_the_protocol_breaks(explored: Mapping[str, Explored], name: str) -> None:
    """The shortest way to the damage is told in sentences."""
    found = explored[name]
    assert found.broken is CASES[name].breaks
    assert found.story
    assert found.told().endswith(f"So {found.broken}.")


@pytest.mark.parametrize("name", BEYOND)
def test_what_the_protocol_relies_on_is_known(explored: Mapping[str, Explored], name: str) -> None:
    """Beyond these bounds of the exchange and of a restore nothing is promised; the story says why."""
    assert explored[name].broken is CASES[name].breaks
