"""After a trade in an asset its owner waits, unless they say otherwise."""

from __future__ import annotations

from tests.people import OPEN_POLICY, People


def test_a_second_trade_within_the_cooldown_is_refused(people: People) -> None:
    """A trade that the history knows starts the cooldown; the next one in the asset is refused."""
    owner = people.owner()
    people.traded(owner, "buy")
    proposal = people.proposal(owner)

    answer = people.approve(owner, proposal)

    assert answer.status == 422
    assert answer.codes == {"COOLDOWN_ACTIVE"}
    assert people.orders(proposal) == []


def test_the_owner_can_override_the_cooldown_and_it_is_recorded(people: People) -> None:
    """With overrideCooldown the same proposal is executed, and both rows say so."""
    owner = people.owner()
    people.traded(owner, "buy")
    proposal = people.proposal(owner)

    answer = people.approve(owner, proposal, overrideCooldown=True)

    assert answer.status == 200, answer.body
    assert answer.body["execution"]["override_cooldown"] is True
    (row,) = owner.read("trade_proposals")
    assert (row["override_cooldown"], row["override_anti_flip"]) == (True, False)
    assert owner.read("overrides_used")[0]["execution_id"] == answer.body["execution"]["id"]


def test_an_executed_order_starts_the_cooldown(people: People) -> None:
    """An execution counts like any other trade: the next proposal in the asset waits."""
    owner = people.owner()
    assert people.approve(owner, people.proposal(owner)).status == 200

    answer = people.approve(owner, people.proposal(owner))

    assert answer.codes == {"COOLDOWN_ACTIVE"}


def test_another_asset_and_another_owner_do_not_wait(people: People) -> None:
    """A cooldown is one owner's in one asset."""
    owner, other = people.owner(), people.owner()
    people.traded(owner, "buy", asset="BTC")

    assert people.approve(owner, people.proposal(owner, market="ETH-EUR")).status == 200
    assert people.approve(other, people.proposal(other, market="BTC-EUR")).status == 200


def test_a_cooldown_of_zero_never_waits(people: People) -> None:
    """A policy can do without a cooldown."""
    owner = people.owner(OPEN_POLICY | {"cooldown_minutes": 0})
    people.traded(owner, "buy")

    assert people.approve(owner, people.proposal(owner)).status == 200
