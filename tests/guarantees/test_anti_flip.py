"""What was bought is not sold within the anti-flip window, nor the reverse, unless the owner says so."""

from __future__ import annotations

import pytest

from tests.people import OPEN_POLICY, People

POLICY = OPEN_POLICY | {"cooldown_minutes": 0}


@pytest.mark.parametrize(("traded", "proposed"), [("buy", "sell"), ("sell", "buy")])
def test_the_opposite_side_is_refused_within_the_window(people: People, traded: str, proposed: str) -> None:
    """A trade on one side closes the other side for the window."""
    owner = people.owner(POLICY)
    people.traded(owner, traded)
    proposal = people.proposal(owner, side=proposed)

    answer = people.approve(owner, proposal)

    assert answer.status == 422
    assert answer.codes == {"ANTI_FLIP_ACTIVE"}
    assert people.orders(proposal) == []


def test_the_owner_can_override_the_window_and_it_is_recorded(people: People) -> None:
    """With overrideAntiFlip the opposite side is executed, and the execution says so."""
    owner = people.owner(POLICY)
    people.traded(owner, "buy")
    proposal = people.proposal(owner, side="sell")

    answer = people.approve(owner, proposal, overrideAntiFlip=True)

    assert answer.status == 200, answer.body
    assert answer.body["execution"]["override_anti_flip"] is True
    assert answer.body["execution"]["override_cooldown"] is False


def test_overriding_the_cooldown_does_not_override_the_window(people: People) -> None:
    """Each override is its own."""
    owner = people.owner(OPEN_POLICY)
    people.traded(owner, "buy")

    answer = people.approve(owner, people.proposal(owner, side="sell"), overrideCooldown=True)

    assert answer.codes == {"ANTI_FLIP_ACTIVE"}


def test_the_same_side_is_free(people: People) -> None:
    """Buying after buying is no flip."""
    owner = people.owner(POLICY)
    people.traded(owner, "buy")

    assert people.approve(owner, people.proposal(owner, side="buy")).status == 200
