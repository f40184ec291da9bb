"""What a decision may become: never more than the policy allows, anywhere within the collar."""

from dataclasses import replace
from decimal import Decimal
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.scan_tick.answer import Trade
from functions.scan_tick.market import MarketFacts, Reading, judge
from functions.scan_tick.sizing import NoProposal, NotProposed, Sized, size
from shared.policy import parse_policy
from tests.unit.scanning import NOW, POLICY, week_of

pytestmark = pytest.mark.unit

_JUDGED = judge(
    Reading(
        "BTC-EUR",
        NOW,
        "trading",
        "EUR",
        8,
        Decimal("0.0001"),
        Decimal(5),
        Decimal("99.9"),
        Decimal("100.1"),
        week_of(),
    )
)
assert isinstance(_JUDGED, MarketFacts)
FACTS = _JUDGED
POLICY_OF_TODAY = parse_policy(POLICY)


def trade(side: Literal["buy", "sell"], amount: str, confidence: str = "80") -> Trade:
    """A decision of the model."""
    return Trade(side, "BTC-EUR", Decimal(amount), Decimal(confidence), "The price is below its average.")


amounts = st.decimals("0.01", "2500", places=2)
prices = st.decimals("0.0001", "200000", places=4)


@given(st.sampled_from(["buy", "sell"]), amounts, prices)
def test_no_proposal_is_larger_than_the_policy_allows(
    side: Literal["buy", "sell"], amount: Decimal, bid: Decimal
) -> None:
    """A buy never spends more than the maximum, and no price in the collar makes a sell worth more."""
    facts = replace(FACTS, bid=bid, ask=bid * Decimal("1.001"))
    sized = size(trade(side, str(amount)), facts, POLICY_OF_TODAY)
    if isinstance(sized, NotProposed):
        return
    most, least = Decimal(250), Decimal(6)
    if side == "buy":
        assert sized.amount is None
        assert sized.amount_quote is not None
        assert least <= sized.amount_quote <= min(most, amount)
        assert sized.amount_quote == round(sized.amount_quote, 2)
        assert sized.reference_price == facts.ask
    else:
        assert sized.amount_quote is None
        assert sized.amount is not None
        assert sized.amount * bid <= amount
        assert sized.amount * bid * Decimal("1.01") <= most
        assert sized.amount * bid * Decimal("0.99") >= least
        assert sized.reference_price == bid


def test_a_cut_says_from_what_to_what() -> None:
    """The wish and what became of it are kept, in EUR."""
    bought = size(trade("buy", "1000"), FACTS, POLICY_OF_TODAY)
    sold = size(trade("sell", "1000"), FACTS, POLICY_OF_TODAY)
    assert isinstance(bought, Sized)
    assert isinstance(sold, Sized)
    assert bought.clamped == {"amount_eur": "1000", "to": "250.00"}
    assert sold.clamped == {"amount_eur": "1000", "to": "247.52"}


def test_rounding_to_cents_is_no_cut() -> None:
    """Half a cent less is rounding, not a clamp."""
    sized = size(trade("buy", "99.999"), FACTS, POLICY_OF_TODAY)
    assert isinstance(sized, Sized)
    assert (sized.amount_quote, sized.clamped) == (Decimal("99.99"), {})


def test_a_wish_is_never_raised() -> None:
    """Below the policy's minimum there is no proposal, not a larger one."""
    refused = size(trade("buy", "5.99"), FACTS, POLICY_OF_TODAY)
    assert isinstance(refused, NotProposed)
    assert refused.reason is NoProposal.SIZE_BELOW_MINIMUM


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_below_what_the_market_trades_there_is_no_proposal(side: Literal["buy", "sell"]) -> None:
    """An order that the exchange would refuse as too small at the collar's edge is not proposed."""
    strict = replace(FACTS, min_quote=Decimal(20))
    refused = size(trade(side, "20"), strict, POLICY_OF_TODAY)
    assert isinstance(refused, NotProposed)
    assert refused.reason is NoProposal.BELOW_MARKET_MINIMUM
    coarse = replace(FACTS, quantity_decimals=0, min_base=Decimal(1))
    refused = size(trade("buy", "100"), coarse, POLICY_OF_TODAY)
    assert isinstance(refused, NotProposed)
    assert refused.reason is NoProposal.BELOW_MARKET_MINIMUM


def test_confidence_is_rounded_down() -> None:
    """69.999 does not reach 70, and 70.009 is stored as 70.00."""
    low = size(trade("buy", "100", "69.999"), FACTS, POLICY_OF_TODAY)
    high = size(trade("buy", "100", "70.009"), FACTS, POLICY_OF_TODAY)
    assert isinstance(low, NotProposed)
    assert low.reason is NoProposal.CONFIDENCE_TOO_LOW
    assert isinstance(high, Sized)
    assert high.confidence == Decimal("70.00")
