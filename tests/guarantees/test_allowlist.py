"""Nothing may trade until the owner names its market."""

from __future__ import annotations

from tests.people import OPEN_POLICY, People


def test_an_empty_allowlist_lets_nothing_trade(people: People) -> None:
    """With an empty allowlist an approval fails with ALLOWLIST_EMPTY and places nothing."""
    owner = people.owner(OPEN_POLICY | {"allowlist": []})
    proposal = people.proposal(owner)

    answer = people.approve(owner, proposal)

    assert (answer.status, answer.body["code"]) == (422, "CHECKS_FAILED")
    assert "ALLOWLIST_EMPTY" in answer.codes
    assert people.orders(proposal) == []


def test_a_policy_without_an_allowlist_has_an_empty_one(people: People) -> None:
    """What the owner leaves out is filled with nothing allowed, not with everything."""
    owner = people.owner({})

    (row,) = owner.read("trading_policies")

    assert row["policy"]["allowlist"] == []


def test_a_market_off_the_list_is_refused_and_one_on_it_trades(people: People) -> None:
    """The same proposal is refused while its market is not named and executed once it is."""
    owner = people.owner(OPEN_POLICY | {"allowlist": ["ETH-EUR"]})
    proposal = people.proposal(owner, market="BTC-EUR")

    refused = people.approve(owner, proposal)
    owner.call("set_trading_policy", p_policy=OPEN_POLICY | {"allowlist": ["BTC/EUR"]})
    executed = people.approve(owner, proposal)

    assert refused.status == 422
    assert refused.codes == {"NOT_ALLOWLISTED"}
    assert executed.status == 200, executed.body


def test_a_market_in_another_currency_never_trades(people: People) -> None:
    """A market that is not in EUR is refused even when the owner has named it."""
    owner = people.owner(OPEN_POLICY | {"allowlist": ["BTC-USDC"]})
    proposal = people.proposal(owner, priced_in="BTC-EUR", market="BTC-USDC")

    answer = people.approve(owner, proposal)

    assert answer.status == 422
    assert answer.codes == {"QUOTE_NOT_EUR"}
