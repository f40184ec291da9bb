"""Every check that stands between an approval and an order, and the verdicts on the market's facts.

`CHECKS` is the registry: names, codes and sentences, from which the documents' table is made. What time,
history or concurrency decides is decided in the database; what the market decides are the pure functions
here. Deny by default: a fact that could not be read fails every check that needs it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal, localcontext
from enum import StrEnum
from typing import Any

from functions.execute.facts import OUTSIDE_ACCESS_WINDOW, MarketFacts, NotAsked, Unread
from functions.execute.order import Draft, Wish, collar_edge, current_price
from shared.bitvavo import TRADING, BookTop, Market, Order, ServerTime
from shared.money import plain
from shared.policy import TradingPolicy

_EXACT_DIGITS = 400


@dataclass(frozen=True, slots=True)
class Check:
    """One check: its name, the codes that it fails with, what it demands, and the facts that decide it."""

    name: str
    codes: tuple[str, ...]
    demands: str
    facts: tuple[str, ...]
    needs_market: bool = False


_VALUE = ("order_value_eur", "used_eur", "limit_eur")
_BOOK = ("current_price", "reference_price", "max_price_move_percent")

CHECKS = (
    Check("proposal_pending", ("PROPOSAL_NOT_PENDING",), "the proposal waits for a decision", ("status",)),
    Check(
        "proposal_not_expired", ("PROPOSAL_EXPIRED",), "the proposal has not expired", ("expires_at", "now")
    ),
    Check(
        "allowlist",
        ("ALLOWLIST_EMPTY", "NOT_ALLOWLISTED"),
        "the policy allows the market by name",
        ("market", "allowlist"),
    ),
    Check("quote_currency", ("QUOTE_NOT_EUR",), "the market is quoted in EUR", ("quote",)),
    Check(
        "order_size",
        ("SIZE_BELOW_MINIMUM", "SIZE_ABOVE_MAXIMUM"),
        "the order's value lies within the policy's minimum and maximum",
        ("order_value_eur", "min_eur", "max_eur"),
    ),
    Check(
        "confidence",
        ("CONFIDENCE_TOO_LOW",),
        "the confidence reaches the policy's threshold",
        ("confidence", "min_confidence"),
    ),
    Check(
        "cooldown",
        ("COOLDOWN_ACTIVE",),
        "the user's last trade in the asset is long enough ago, or the owner overrides",
        ("asset", "last_trade_at", "until", "minutes", "overridden"),
    ),
    Check(
        "anti_flip",
        ("ANTI_FLIP_ACTIVE",),
        "the user's last trade of the other side is long enough ago, or the owner overrides",
        ("asset", "last_opposite_trade_at", "until", "minutes", "overridden"),
    ),
    Check(
        "trading_state",
        ("TRADING_HALTED", "REDUCE_ONLY"),
        "neither the user nor everybody is halted; a buy needs both active",
        ("global_state", "global_reason", "owner_state", "owner_reason"),
    ),
    Check(
        "daily_trades",
        ("DAILY_TRADES_EXHAUSTED",),
        "the user has a trade left on this UTC day",
        ("used", "limit"),
    ),
    Check("daily_value", ("DAILY_VALUE_EXHAUSTED",), "the user has the value left on this UTC day", _VALUE),
    Check("account_order", ("ACCOUNT_LIMIT_EXHAUSTED",), "the account's ceiling of one order holds", _VALUE),
    Check(
        "account_daily_value",
        ("ACCOUNT_LIMIT_EXHAUSTED",),
        "the account's ceiling of a UTC day holds, over all owners",
        _VALUE,
    ),
    Check(
        "unsettled",
        ("UNSETTLED_EXECUTION",),
        "no other execution of the user in the market may still trade",
        ("market", "execution_id"),
    ),
    Check("policy_complete", ("POLICY_INVALID",), "the policy is complete", ()),
    Check(
        "policy_unchanged",
        ("POLICY_CHANGED",),
        "the policy is the one that was read",
        ("judged_by", "read", "proposed_under"),
    ),
    Check(
        "mode", ("MODE_MISMATCH",), "the function's mode is the registered one", ("function", "registered")
    ),
    Check(
        "account",
        ("WRONG_ACCOUNT",),
        "operator id and trade key are the registered ones",
        (
            "operator_id",
            "registered_operator_id",
            "trade_key_fingerprint",
            "registered_trade_key_fingerprint",
        ),
    ),
    Check(
        "reconciliation",
        ("RECONCILIATION_STALE",),
        "cleanup compared orders with approvals a short while ago",
        ("reconciled_at", "now", "limit_minutes"),
    ),
    Check(
        "price_moved",
        ("PRICE_MOVED",),
        "the current price is within the collar of the reference price",
        _BOOK,
        True,
    ),
    Check(
        "spread",
        ("SPREAD_TOO_WIDE",),
        "the spread is within the policy's bound",
        ("bid", "ask", "max_spread_percent"),
        True,
    ),
    Check(
        "limit_collar",
        ("LIMIT_OUTSIDE_COLLAR",),
        "a limit price is within the collar of the reference price and of the current one",
        ("limit_price", "sent_price", "worst_price", *_BOOK),
        True,
    ),
    Check("market_trading", ("MARKET_NOT_TRADING",), "the market is trading", ("status",), True),
    Check(
        "market_minimum",
        ("BELOW_MARKET_MINIMUM",),
        "the rounded order meets the market's minimums, maximums and precision",
        ("amount", "price", "value", "min_amount", "min_value"),
        True,
    ),
    Check(
        "order_exists",
        ("ORDER_EXISTS",),
        "no order at the exchange carries the proposal's id",
        (),
        True,
    ),
    Check(
        "clock",
        ("CLOCK_SKEW",),
        "the clocks of exchange, function and database agree",
        ("exchange_time_ms", "own_accepted"),
        True,
    ),
    Check(
        "window",
        ("TOO_LATE",),
        "more than half of the access window is left",
        ("age_ms", "access_window_ms"),
        True,
    ),
)

MARKET_CHECKS = tuple(check for check in CHECKS if check.needs_market)


class Word(StrEnum):
    """What a check says."""

    PASSED = "PASSED"
    FAILED = "FAILED"
    NOT_EVALUATED = "NOT_EVALUATED"
    NOT_APPLICABLE = "NOT_APPLICABLE"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one check says, the code when it failed, and the facts that decided it, numbers as text."""

    check: str
    verdict: Word
    code: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The form that the database keeps and an answer shows."""
        return {"check": self.check, "verdict": self.verdict.value, "code": self.code, "facts": self.facts}


def any_failed(verdicts: tuple[Verdict, ...]) -> bool:
    """Did a check fail?"""
    return any(verdict.verdict is Word.FAILED for verdict in verdicts)


def not_evaluated() -> tuple[Verdict, ...]:
    """The verdicts of the market checks when the market was not asked."""
    return tuple(Verdict(check.name, Word.NOT_EVALUATED) for check in MARKET_CHECKS)


def judge(
    wish: Wish,
    policy: TradingPolicy,
    facts: MarketFacts,
    draft: Draft | None,
    *,
    window_ms: int,
    monotonic_s: float,
) -> tuple[Verdict, ...]:
    """The verdicts of all market checks, in the registry's order.

    `draft` is the order as it would be sent, None when none could be made. `monotonic_s` is now, on the clock
    of `ServerTime.received_at`.
    """
    move, bound = policy.max_price_move_percent, policy.max_spread_percent
    return (
        price_moved(wish, facts.book, move),
        spread(facts.book, bound),
        limit_collar(wish, facts.book, draft, move),
        market_trading(facts.market),
        market_minimum(facts.market, facts.book, draft),
        order_exists(facts.own_order),
        clock(facts.time, facts.own_order),
        window(facts.time, window_ms, monotonic_s),
    )


def price_moved(wish: Wish, book: BookTop | Unread, max_move_percent: Decimal) -> Verdict:
    """Is the current price within the collar of the reference price, in either direction?"""
    if isinstance(book, Unread):
        return _failed("price_moved", "PRICE_MOVED", unread=book.why)
    current = current_price(wish.side, book)
    return _verdict(
        "price_moved",
        "PRICE_MOVED",
        _within(current, wish.reference_price, max_move_percent),
        current_price=plain(current),
        reference_price=plain(wish.reference_price),
        max_price_move_percent=plain(max_move_percent),
    )


def spread(book: BookTop | Unread, max_spread_percent: Decimal) -> Verdict:
    """Is the distance of ask and bid, as a share of the price halfway between them, within the bound?

    A crossed book is no book that can be trusted.
    """
    if isinstance(book, Unread):
        return _failed("spread", "SPREAD_TOO_WIDE", unread=book.why)
    with localcontext(prec=_EXACT_DIGITS):
        distance = book.ask - book.bid
        narrow = distance >= 0 and distance * 200 <= (book.ask + book.bid) * max_spread_percent
    return _verdict(
        "spread",
        "SPREAD_TOO_WIDE",
        narrow,
        bid=plain(book.bid),
        ask=plain(book.ask),
        max_spread_percent=plain(max_spread_percent),
    )


def limit_collar(
    wish: Wish, book: BookTop | Unread, draft: Draft | None, max_move_percent: Decimal
) -> Verdict:
    """Is the limit price, as it would be sent, within the collar of reference and current price?"""
    if wish.limit_price is None:
        return Verdict("limit_collar", Word.NOT_APPLICABLE)
    if isinstance(book, Unread):
        return _failed("limit_collar", "LIMIT_OUTSIDE_COLLAR", unread=book.why)
    sent = wish.limit_price if draft is None else draft.price
    current = current_price(wish.side, book)
    return _verdict(
        "limit_collar",
        "LIMIT_OUTSIDE_COLLAR",
        _within(sent, wish.reference_price, max_move_percent) and _within(sent, current, max_move_percent),
        limit_price=plain(wish.limit_price),
        sent_price=plain(sent),
        worst_price=plain(collar_edge(wish, book, max_move_percent)),
        current_price=plain(current),
        reference_price=plain(wish.reference_price),
        max_price_move_percent=plain(max_move_percent),
    )


def market_trading(market: Market | Unread) -> Verdict:
    """Does the exchange trade the market now, and does its row leave room for an order?"""
    if isinstance(market, Unread):
        return _failed("market_trading", "MARKET_NOT_TRADING", unread=market.why)
    return _verdict(
        "market_trading", "MARKET_NOT_TRADING", market.standing == TRADING, status=market.standing
    )


def market_minimum(market: Market | Unread, book: BookTop | Unread, draft: Draft | None) -> Verdict:
    """Does the rounded order meet the market's minimums and maximums?

    It is valued at the lower of current and sent price before fee against the minimum, and at the higher one
    against the maximum.
    """
    if isinstance(market, Unread):
        return _failed("market_minimum", "BELOW_MARKET_MINIMUM", unread=market.why)
    if isinstance(book, Unread):
        return _failed("market_minimum", "BELOW_MARKET_MINIMUM", unread=book.why)
    if draft is None:
        return _failed("market_minimum", "BELOW_MARKET_MINIMUM", amount="0")
    current = current_price(draft.side, book)
    with localcontext(prec=_EXACT_DIGITS):
        least = draft.amount * min(current, draft.price)
        most = draft.amount * max(current, draft.price)
    fits = (
        draft.amount >= market.min_base
        and least >= market.min_quote
        and (market.max_base is None or draft.amount <= market.max_base)
        and (market.max_quote is None or most <= market.max_quote)
    )
    return _verdict(
        "market_minimum",
        "BELOW_MARKET_MINIMUM",
        fits,
        amount=plain(draft.amount),
        price=plain(draft.price),
        value=plain(least),
        min_amount=plain(market.min_base),
        min_value=plain(market.min_quote),
    )


def order_exists(own_order: Order | Unread | NotAsked | None) -> Verdict:
    """Does no order carry the proposal's id yet? A database that was restored has forgotten that one does."""
    if isinstance(own_order, NotAsked):
        return Verdict("order_exists", Word.NOT_APPLICABLE)
    if isinstance(own_order, Unread):
        return _failed("order_exists", "ORDER_EXISTS", unread=own_order.why)
    if own_order is None:
        return Verdict("order_exists", Word.PASSED)
    return _failed("order_exists", "ORDER_EXISTS", order_id=own_order.order_id, status=own_order.status)


def clock(time: ServerTime | Unread, own_order: Order | Unread | NotAsked | None) -> Verdict:
    """Did the exchange tell its time, and accept ours?

    The claim compares the exchange's time with the database's; ours shows in the look-up, signed with it.
    """
    if isinstance(time, Unread):
        return _failed("clock", "CLOCK_SKEW", unread=time.why)
    refused = isinstance(own_order, Unread) and own_order.error_code == OUTSIDE_ACCESS_WINDOW
    return _verdict(
        "clock", "CLOCK_SKEW", not refused, exchange_time_ms=str(time.ms), own_accepted=not refused
    )


def window(time: ServerTime | Unread, window_ms: int, monotonic_s: float) -> Verdict:
    """Are the facts younger than half an access window?"""
    if isinstance(time, Unread):
        return _failed("window", "TOO_LATE", unread=time.why)
    age_ms = elapsed_ms(time, monotonic_s)
    return _verdict(
        "window", "TOO_LATE", age_ms * 2 <= window_ms, age_ms=str(age_ms), access_window_ms=str(window_ms)
    )


def elapsed_ms(time: ServerTime, monotonic_s: float) -> int:
    """Milliseconds since the first byte of the exchange's time, rounded up."""
    return -int((time.received_at - monotonic_s) * 1000 // 1)


def _within(price: Decimal, centre: Decimal, percent: Decimal) -> bool:
    with localcontext(prec=_EXACT_DIGITS):
        return abs(price - centre) * 100 <= centre * percent


def _verdict(check: str, code: str, passed: bool, **facts: Any) -> Verdict:
    return Verdict(check, Word.PASSED, None, facts) if passed else Verdict(check, Word.FAILED, code, facts)


def _failed(check: str, code: str, **facts: Any) -> Verdict:
    return Verdict(check, Word.FAILED, code, facts)
