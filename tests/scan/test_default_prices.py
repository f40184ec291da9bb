"""On the real candles that the local world starts with, a scan ends in a proposal that a person can judge."""

from __future__ import annotations

from decimal import Decimal

import pytest

from local.exchange.exchange import DEFAULT_CANDLES
from shared.policy import parse_policy
from tests.people import People


@pytest.mark.skipif(DEFAULT_CANDLES is None, reason="the real candles are not there")
def test_the_scripted_model_proposes_on_the_default_prices(people: People) -> None:
    """A pending buy of BTC-EUR within the default policy, with the numbers that led to it."""
    owner, _ = people.scanned_owner({"allowlist": ["BTC-EUR"]})

    summary = people.run("scan_tick")

    assert summary["endings"].get("proposed", 0) >= 1
    (proposal,) = owner.read("trade_proposals")
    (stored,) = owner.read("trading_policies")
    limits = parse_policy(stored["policy"]).limits.order
    assert (proposal["status"], proposal["side"], proposal["market"]) == ("PENDING", "buy", "BTC-EUR")
    assert limits.min_eur <= Decimal(str(proposal["amount_quote"])) <= limits.max_eur
    assert Decimal(str(proposal["confidence"])) >= 70
    numbers = proposal["market_snapshot"]["markets"]["BTC-EUR"]
    assert proposal["reference_price"] is not None
    assert Decimal(str(proposal["reference_price"])) == Decimal(numbers["ask"])
    assert (proposal["model"], proposal["prompt_version"], len(proposal["input_hash"])) == (
        "scripted",
        "v1",
        64,
    )
    assert proposal["clamped"] is None
