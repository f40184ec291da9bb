"""Whatever the schedule: no double order, none outside policy or ceilings, no lost fill, no disagreement."""

from __future__ import annotations

import re

import pytest

from local.stack import Stack
from tests.soak.planted import PLANTED, Planted, playing_without
from tests.soak.running import first_noticed, soak
from tests.soak.schedule import play

A_TWENTIETH, ALL = 100, 2000
"""Seeds; five approvals or so of each reach a claim."""

CLAIMS_OF_A_TWENTIETH, CLAIMS_OF_ALL = 500, 10_000


@pytest.mark.timeout(900)
def test_a_twentieth_of_the_soak_holds_every_promise(server: Stack) -> None:
    """A hundred of two thousand seeds; each is judged by its own journal and the exchange's record."""
    soaked = soak(server, range(A_TWENTIETH), workers=1)
    assert soaked.failing == {}, soaked.told()
    assert soaked.claims >= CLAIMS_OF_A_TWENTIETH


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_the_soak_holds_every_promise(server: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    """Two thousand seeds in which ten thousand approvals reach a claim."""
    soaked = soak(server, range(ALL))
    with capsys.disabled():
        print(f"\n{soaked.table()}")
    assert soaked.failing == {}, soaked.told()
    assert soaked.claims >= CLAIMS_OF_ALL


def test_a_seed_tells_the_same_story_again(server: Stack) -> None:
    """A seed that fails can be looked at: chance, clocks and threads repeat to the letter."""
    assert play(server, 17).story.lines == play(server, 17).story.lines


@pytest.mark.timeout(300)
def test_an_order_that_is_sent_again_is_noticed(server: Stack) -> None:
    """Of the mechanisms that are taken out, the one that matters most."""
    _is_noticed(server, PLANTED[0])


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: "+".join(planted.without))
def test_a_missing_mechanism_is_noticed(server: Stack, planted: Planted) -> None:
    """The judge is no judge unless it notices what must not happen, within so many seeds."""
    _is_noticed(server, planted)


def _is_noticed(server: Stack, planted: Planted) -> None:
    noticed = first_noticed(server, range(planted.seeds), playing_without(planted.without))
    assert noticed is not None
    assert re.search(planted.says, noticed[1])
