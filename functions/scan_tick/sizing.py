"""From a decision to a proposal: sized by the policy, priced by the market, never by the model.

Pure. The model's amount is a wish. It is cut to what the policy allows, which is recorded, and never raised;
what could not trade within the policy at the price that was read is no proposal.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from functions.scan_tick.answer import Trade
from functions.scan_tick.market import MarketFacts
from shared.fees import affordable
from shared.money import floor_to, plain
from shared.policy import TradingPolicy

ABSURD_FACTOR = 10
"""A wish of more than so many times the policy's maximum is not cut but refused: it makes no sense."""

CENTS = 2
CONFIDENCE_DECIMALS = 2


class NoProposal(StrEnum):
    """Why a decision to trade becomes no proposal."""

    CONFIDENCE_TOO_LOW = "CONFIDENCE_TOO_LOW"
    SIZE_BELOW_MINIMUM = "SIZE_BELOW_MINIMUM"
    SIZE_ABSURD = "SIZE_ABSURD"
    BELOW_MARKET_MINIMUM = "BELOW_MARKET_MINIMUM"


@dataclass(frozen=True)
class Sized:
    """What is proposed: a buy has `amount_quote` in whole cents, a sell `amount` in the base currency.

    `clamped` says what was cut and from what, and is empty when nothing was.
    """

    trade: Trade
    amount: Decimal | None
    amount_quote: Decimal | None
    reference_price: Decimal
    confidence: Decimal
    clamped: Mapping[str, str]


@dataclass(frozen=True)
class NotProposed:
    """A decision to trade that the policy or the market's minimum leaves nothing of."""

    reason: NoProposal
    sentence: str

    def __str__(self) -> str:
        return f"{self.reason}: {self.sentence}"


def size(trade: Trade, facts: MarketFacts, policy: TradingPolicy) -> Sized | NotProposed:
    """The proposal that this decision allows, or why there is none.

    The reference price is the price that was read: the best ask for a buy, the best bid for a sell.
    """
    limits = policy.limits.order
    confidence = floor_to(trade.confidence, CONFIDENCE_DECIMALS)
    if confidence < policy.min_confidence:
        return NotProposed(
            NoProposal.CONFIDENCE_TOO_LOW, f"{plain(confidence)} is below {plain(policy.min_confidence)}"
        )
    if trade.amount_eur > limits.max_eur * ABSURD_FACTOR:
        return NotProposed(NoProposal.SIZE_ABSURD, f"more than {ABSURD_FACTOR} times the largest order")
    if trade.side == "buy":
        return _buy(trade, facts, policy, confidence)
    return _sell(trade, facts, policy, confidence)


def _buy(trade: Trade, facts: MarketFacts, policy: TradingPolicy, confidence: Decimal) -> Sized | NotProposed:
    limits = policy.limits.order
    wish = floor_to(trade.amount_eur, CENTS)
    amount_quote = min(wish, floor_to(limits.max_eur, CENTS))
    if amount_quote < limits.min_eur:
        return _too_small(limits.min_eur)
    dearest = facts.ask * (1 + policy.max_price_move_percent / 100)
    amount = floor_to(affordable(amount_quote, dearest), facts.quantity_decimals)
    if amount < facts.min_base or amount * facts.ask < facts.min_quote:
        return _below_market_minimum(facts)
    clamped = (
        {"amount_eur": plain(trade.amount_eur), "to": plain(amount_quote)} if amount_quote < wish else {}
    )
    return Sized(trade, None, amount_quote, facts.ask, confidence, clamped)


def _sell(
    trade: Trade, facts: MarketFacts, policy: TradingPolicy, confidence: Decimal
) -> Sized | NotProposed:
    """A sell is valued at the price it meets, so its size stays within the policy anywhere in the collar."""
    limits = policy.limits.order
    collar = policy.max_price_move_percent / 100
    most = floor_to(limits.max_eur / (facts.bid * (1 + collar)), facts.quantity_decimals)
    wish = floor_to(trade.amount_eur / facts.bid, facts.quantity_decimals)
    amount = min(wish, most)
    if amount * facts.bid * (1 - collar) < limits.min_eur:
        return _too_small(limits.min_eur)
    if amount < facts.min_base or amount * facts.bid * (1 - collar) < facts.min_quote:
        return _below_market_minimum(facts)
    clamped = (
        {"amount_eur": plain(trade.amount_eur), "to": plain(floor_to(amount * facts.bid, CENTS))}
        if amount < wish
        else {}
    )
    return Sized(trade, amount, None, facts.bid, confidence, clamped)


def _too_small(least: Decimal) -> NotProposed:
    return NotProposed(NoProposal.SIZE_BELOW_MINIMUM, f"worth less than {plain(least)} EUR")


def _below_market_minimum(facts: MarketFacts) -> NotProposed:
    return NotProposed(NoProposal.BELOW_MARKET_MINIMUM, f"below the least that {facts.market} trades")


def proposal_row(
    proposal_id: UUID,
    sized: Sized,
    *,
    model: str,
    prompt_version: str,
    input_hash: str,
    market_snapshot: Mapping[str, object],
) -> dict[str, Any]:
    """The proposal as `finish_scan` takes it, every number as text."""
    return {
        "id": str(proposal_id),
        "market": sized.trade.market,
        "side": sized.trade.side,
        "order_type": "market",
        "amount": _text(sized.amount),
        "amount_quote": _text(sized.amount_quote),
        "limit_price": None,
        "reference_price": plain(sized.reference_price),
        "confidence": plain(sized.confidence),
        "rationale": sized.trade.rationale,
        "model": model,
        "prompt_version": prompt_version,
        "input_hash": input_hash,
        "market_snapshot": dict(market_snapshot),
        **({"clamped": dict(sized.clamped)} if sized.clamped else {}),
    }


def _text(value: Decimal | None) -> str | None:
    return None if value is None else plain(value)
