"""Was a claim within all that was in force? Decided anew, from the journal and the exchange's record."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from local.stack import OPERATOR_ID
from tests.soak.journal import Claim, Journal

UNSETTLED = frozenset({"CLAIMED", "UNKNOWN", "OPEN", "PARTIALLY_FILLED"})
CONCLUDED = frozenset({"NOT_PLACED", "REJECTED"})
_COMPARED_WITHIN = timedelta(minutes=15)
_AHEAD_MS = 2000


@dataclass(frozen=True)
class Moment:
    """What else was known when the claim was granted.

    `statuses` are those of the executions before it; `bought_for` is what the exchange's record says that one
    has traded for (EUR, without fees), None as long as it has no order; `timestamp_ms` is the claim's access
    timestamp.
    """

    journal: Journal
    statuses: Mapping[UUID, str]
    traded_for: Mapping[UUID, Decimal]
    book: tuple[Decimal, Decimal] | None
    compared_at: datetime | None
    timestamp_ms: int
    overrides: tuple[bool, bool]
    approved_by: UUID | None


def outside(claim: Claim, moment: Moment) -> Iterator[str]:
    """Each rule that a granted claim is outside of."""
    journal, proposal = moment.journal, claim.proposal
    policy = journal.policies[proposal.owner]
    if proposal.owner != moment.approved_by:
        yield "somebody else approved it"
    if journal.mode != "live":
        yield "the mode was dry_run"
    for state in (journal.state, journal.states[proposal.owner]):
        if state == "HALTED" or (state == "REDUCE_ONLY" and proposal.side == "buy"):
            yield f"trading was {state}"
    if proposal.market not in policy["allowlist"]:
        yield f"{proposal.market} was not allowed"
    if proposal.confidence < policy["min_confidence"]:
        yield "the confidence was too low"
    if proposal.expires_at <= claim.at:
        yield "the proposal had expired"
    if proposal.id in journal.declined:
        yield "the proposal had been declined"
    if moment.compared_at is None or moment.compared_at < claim.at - _COMPARED_WITHIN:
        yield "orders had not been compared for 15 minutes"
    yield from _outside_limits(claim, policy, moment)
    yield from _too_soon(claim, policy, moment)
    yield from _misfit(claim, policy, moment)


def _outside_limits(claim: Claim, policy: Mapping[str, Any], moment: Moment) -> Iterator[str]:
    journal, order, daily = moment.journal, policy["limits"]["order"], policy["limits"]["daily"]
    if not Decimal(order["min_eur"]) <= claim.value <= Decimal(order["max_eur"]):
        yield f"{claim.value} EUR is outside {order['min_eur']} to {order['max_eur']}"
    if claim.value > journal.max_order_eur:
        yield f"{claim.value} EUR is above the ceiling {journal.max_order_eur}"
    day = claim.at.replace(hour=0, minute=0, second=0, microsecond=0)
    today = [one for one in _before(claim, journal) if one.at >= day]
    own = [one for one in today if one.proposal.owner == claim.proposal.owner]
    if sum(_counts(one, moment) for one in own) >= daily["trades"]:
        yield f"the {daily['trades']} trades of the day were used"
    if _spent(own, moment) + claim.value > Decimal(daily["value_eur"]):
        yield f"{_spent(own, moment)} of {daily['value_eur']} EUR of the day were used"
    if _spent(today, moment) + claim.value > journal.max_daily_value_eur:
        yield f"{_spent(today, moment)} of the account's {journal.max_daily_value_eur} EUR were used"


def _too_soon(claim: Claim, policy: Mapping[str, Any], moment: Moment) -> Iterator[str]:
    proposal = claim.proposal
    own = [one for one in _before(claim, moment.journal) if one.proposal.owner == proposal.owner]
    if any(one.proposal.market == proposal.market and moment.statuses[one.id] in UNSETTLED for one in own):
        yield f"another execution in {proposal.market} was unsettled"
    traded = [one for one in own if one.proposal.market == proposal.market and _counts(one, moment)]
    cooldown = claim.at - timedelta(minutes=policy["cooldown_minutes"])
    if not moment.overrides[0] and any(one.at > cooldown for one in traded):
        yield "the cooldown was running"
    anti_flip = claim.at - timedelta(minutes=policy["anti_flip_minutes"])
    opposite = [one for one in traded if one.proposal.side != proposal.side]
    if not moment.overrides[1] and any(one.at > anti_flip for one in opposite):
        yield "the anti-flip window was running"


def _misfit(claim: Claim, policy: Mapping[str, Any], moment: Moment) -> Iterator[str]:
    proposal, sent = claim.proposal, json.loads(claim.body)
    fixed = {
        "market": proposal.market,
        "side": proposal.side,
        "orderType": "limit",
        "timeInForce": "IOC",
        "operatorId": OPERATOR_ID,
        "clientOrderId": str(claim.id),
    }
    if {name: sent.get(name) for name in fixed} != fixed or len(sent) != len(fixed) + 2:
        yield f"the order is another one: {claim.body}"
        return
    amount, price = Decimal(sent["amount"]), Decimal(sent["price"])
    collar = Decimal(policy["max_price_move_percent"]) / 100
    worst = proposal.reference_price * (1 + collar if proposal.side == "buy" else 1 - collar)
    if (price > worst) if proposal.side == "buy" else (price < worst):
        yield f"the price {price} is beyond the collar's edge {worst}"
    if proposal.amount_quote is not None and amount * price * Decimal("1.0025") > proposal.amount_quote:
        yield "it could spend more than was approved"
    if proposal.amount is not None and amount > proposal.amount:
        yield "it could sell more than was approved"
    yield from _market(claim, price, collar, policy, moment)
    now_ms = int(claim.at.timestamp() * 1000)
    if moment.timestamp_ms > now_ms + _AHEAD_MS:
        yield "its timestamp was of the future"
    if moment.timestamp_ms < now_ms - claim.window_ms / 2:
        yield "half of its window was over"


def _market(
    claim: Claim, price: Decimal, collar: Decimal, policy: Mapping[str, Any], moment: Moment
) -> Iterator[str]:
    if moment.book is None:
        yield "no book was seen"
        return
    bid, ask = moment.book
    reference = claim.proposal.reference_price
    current = ask if claim.proposal.side == "buy" else bid
    if abs(current - reference) > reference * collar:
        yield f"the price had moved from {reference} to {current}"
    if (ask - bid) * 200 > (ask + bid) * Decimal(policy["max_spread_percent"]):
        yield f"the spread of {bid} and {ask} was too wide"
    amount = claim.proposal.amount
    value = claim.proposal.amount_quote if amount is None else amount * max(bid, price)
    if value != claim.value:
        yield f"its value is {value} EUR, not {claim.value}"


def _before(claim: Claim, journal: Journal) -> Iterable[Claim]:
    return (one for one in journal.claims.values() if one.id != claim.id)


def _counts(one: Claim, moment: Moment) -> bool:
    """Is it a trade for all that is known: still open, or filled and no conclusion says otherwise?"""
    status = moment.statuses[one.id]
    return status in UNSETTLED or (status not in CONCLUDED and moment.traded_for[one.id] > 0)


def _spent(claims: Iterable[Claim], moment: Moment) -> Decimal:
    """The least that they count for; what is open may still spend all of its value."""
    return sum(
        (
            one.value if moment.statuses[one.id] in UNSETTLED else moment.traded_for[one.id]
            for one in claims
            if _counts(one, moment)
        ),
        Decimal(0),
    )
