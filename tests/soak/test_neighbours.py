"""One owner can stop nobody else: what another is answered is the same with and without them."""

from __future__ import annotations

import pytest

from local.stack import Stack
from tests.soak.hostile import Busy
from tests.soak.neighbours import ROUND, Hostile, differences, play

_HALTED_AND_LIFTED = 17
"""Minutes in which the comparison would have become stale, and both kinds of halt have come and gone."""


@pytest.mark.timeout(300)
def test_a_hostile_owner_changes_nothing_for_another_within_a_quarter_of_an_hour(server: Stack) -> None:
    """A part of the hour: allowlists of markets that do not exist, dead approvals, tokens, jobs, declines."""
    _is_as_if_alone(server, 1, _HALTED_AND_LIFTED, Busy(approvals=1, rewrites=1, refused_before=1000))


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(3))
def test_a_hostile_owner_changes_nothing_for_another_within_an_hour(server: Stack, seed: int) -> None:
    """Each halt comes three times, and each is told in the run of cleanup in which it comes."""
    _is_as_if_alone(server, seed, 3 * ROUND, Busy(approvals=2, rewrites=3, refused_before=5000))


def _is_as_if_alone(server: Stack, seed: int, minutes: int, hostile: Hostile) -> None:
    alone = play(server, seed, minutes, Hostile())
    together = play(server, seed, minutes, hostile)
    assert alone.journal.violations == []
    assert together.journal.violations == []
    assert differences(alone.seen, together.seen) == ""
    halts = [line for line in together.seen if "told" in line]
    assert len(halts) >= 2, "an owner's and everybody's"
