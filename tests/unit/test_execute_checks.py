"""The verdicts on the market's facts."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any, Literal

import pytest

from functions.execute.checks import (
    CHECKS,
    MARKET_CHECKS,
    Verdict,
    Word,
    any_failed,
    elapsed_ms,
    judge,
    not_evaluated,
    price_moved,
)
from functions.execute.facts import NOT_ASKED, MarketFacts, Unread
from functions.execute.order import Wish, draft_order
from shared.bitvavo import Order, ServerTime
from shared.policy import TradingPolicy
from tests.unit.test_execute_order import book, market, wish

pytestmark = pytest.mark.unit

POLICY = TradingPolicy.model_validate(
    {
        "allowlist": ["BTC-EUR"],
        "min_confidence": 70,
        "limits": {
            "order": {"min_eur": "6", "max_eur": "250"},
            "daily": {"trades": 5, "value_eur": "1000"},
            "gpt": {"daily": 20, "hourly": 4},
        },
        "cooldown_minutes": 60,
        "anti_flip_minutes": 120,
        "max_price_move_percent": "1.0",
        "max_spread_percent": "0.5",
        "proposal_ttl_minutes": 15,
        "scan_interval_minutes": 60,
    }
)
ORDER = Order.parse(
    {
        "orderId": "00000000-0000-0460-0100-000000000001",
        "clientOrderId": "00000000-0000-0000-0000-000000000001",
        "market": "BTC-EUR",
        "side": "buy",
        "status": "filled",
        "orderType": "limit",
        "filledAmount": "1",
        "filledAmountQuote": "1",
        "created": 1,
        "updated": 1,
    }
)
FACTS = MarketFacts(
    time=ServerTime(1_790_000_000_000, 100.0),
    market=market(),
    book=book("49990", "50010"),
    own_order=None,
)
UNREAD = Unread("GET /x got no answer")


def verdicts(asked: Wish | None = None, *, monotonic_s: float = 100.5, **facts: Any) -> dict[str, Verdict]:
    """The verdicts by name on an approval of 25 EUR where all is well, but for what is changed."""
    asked = asked or wish("buy", amount_quote="25")
    seen = replace(FACTS, **facts)
    draft = None
    if not isinstance(seen.market, Unread) and not isinstance(seen.book, Unread):
        draft = draft_order(asked, seen.market, seen.book, POLICY.max_price_move_percent)
    given = judge(asked, POLICY, seen, draft, window_ms=5000, monotonic_s=monotonic_s)
    assert [verdict.check for verdict in given] == [check.name for check in MARKET_CHECKS]
    return {verdict.check: verdict for verdict in given}


def failed(given: dict[str, Verdict]) -> dict[str, str | None]:
    return {name: verdict.code for name, verdict in given.items() if verdict.verdict is Word.FAILED}


def test_all_is_well() -> None:
    """An order that nothing speaks against passes every check, or is not concerned by it."""
    given = verdicts()
    assert failed(given) == {}
    assert given.pop("limit_collar").verdict is Word.NOT_APPLICABLE
    assert {verdict.verdict for verdict in given.values()} == {Word.PASSED}


@pytest.mark.parametrize(
    ("side", "bid", "ask", "ok"),
    [
        ("buy", "50490", "50500", True),
        ("buy", "50490", "50500.01", False),
        ("buy", "49490", "49500", True),
        ("buy", "49490", "49499.99", False),
        ("sell", "50500", "50510", True),
        ("sell", "50500.01", "50510", False),
        ("sell", "49500", "49510", True),
        ("sell", "49499.99", "49510", False),
    ],
)
def test_the_price_may_move_as_far_as_the_collar_either_way(
    side: Literal["buy", "sell"], bid: str, ask: str, ok: bool
) -> None:
    """Ask for a buy, bid for a sell, one percent of the reference in either direction, the edge included."""
    asked = wish(side, **({"amount_quote": "25"} if side == "buy" else {"amount": "0.001"}))
    given = verdicts(asked, book=book(bid, ask))
    assert failed(given) == ({} if ok else {"price_moved": "PRICE_MOVED"})


@pytest.mark.parametrize(
    ("bid", "ask", "ok"),
    [
        ("49875", "50125", True),
        ("49875", "50125.01", False),
        ("50000", "50000", True),
        ("50001", "50000", False),
    ],
)
def test_the_spread_is_bounded_and_never_crossed(bid: str, ask: str, ok: bool) -> None:
    """Half a percent of the price between bid and ask passes, more fails, and so does a crossed book."""
    given = verdicts(book=book(bid, ask))
    assert failed(given).get("spread") == (None if ok else "SPREAD_TOO_WIDE")


@pytest.mark.parametrize(
    ("side", "limit", "ok"),
    [
        ("buy", "50500", True),
        ("buy", "50500.9", True),  # sent at 50500
        ("buy", "50501", False),
        ("buy", "49510", True),
        ("buy", "49509", False),  # within 1 % of the reference but not of the ask
        ("sell", "49500", True),  # exactly 1 % below the reference
        ("sell", "49499", False),
        ("sell", "50489", True),
        ("sell", "50490", False),  # 50490 is more than 1 % above the bid
    ],
)
def test_a_limit_lies_within_the_collar_of_both_prices(
    side: Literal["buy", "sell"], limit: str, ok: bool
) -> None:
    """The limit as it would be sent is within one percent of the reference and of the current price."""
    amounts = {"amount_quote": "25"} if side == "buy" else {"amount": "0.001"}
    given = verdicts(wish(side, limit_price=limit, **amounts))
    assert failed(given) == ({} if ok else {"limit_collar": "LIMIT_OUTSIDE_COLLAR"})


@pytest.mark.parametrize("status", ["halted", "auction", "auctionMatching", "cancelOnly", "TRADING", ""])
def test_only_a_trading_market_trades(status: str) -> None:
    """Every other word, known or not, is refused."""
    assert failed(verdicts(market=market(status=status))) == {"market_trading": "MARKET_NOT_TRADING"}


@pytest.mark.parametrize(
    "fields",
    [
        {"tickSize": "0"},
        {"tickSize": None},
        {"tickSize": None, "pricePrecision": 0},
        {"maxOrderInBaseAsset": "0"},
        {"maxOrderInQuoteAsset": "0"},
    ],
)
def test_a_market_whose_row_leaves_no_order_does_not_trade(fields: dict[str, Any]) -> None:
    """Whatever its status says, and the verdict shows the field."""
    given = verdicts(wish("buy", amount_quote="25"), market=market(**fields))
    assert failed(given)["market_trading"] == "MARKET_NOT_TRADING"
    assert next(iter(fields)) in given["market_trading"].facts["status"]


@pytest.mark.parametrize(
    ("asked", "fields", "ok"),
    [
        (wish("buy", amount_quote="5.13"), {}, True),
        (wish("buy", amount_quote="5.01"), {}, False),
        (wish("buy", amount_quote="25"), {"minOrderInBaseAsset": "0.00049243"}, True),
        (wish("buy", amount_quote="25"), {"minOrderInBaseAsset": "0.00049244"}, False),
        (wish("sell", amount="0.001"), {"maxOrderInBaseAsset": "0.001"}, True),
        (wish("sell", amount="0.001"), {"maxOrderInBaseAsset": "0.0009"}, False),
        (wish("sell", amount="0.001"), {"maxOrderInQuoteAsset": "49.99"}, True),
        (wish("sell", amount="0.001"), {"maxOrderInQuoteAsset": "49.98"}, False),
        (wish("sell", amount="0.001"), {"quantityDecimals": 2}, False),
    ],
)
def test_the_rounded_order_meets_the_markets_bounds(asked: Wish, fields: dict[str, Any], ok: bool) -> None:
    """Minimum at the lower of current and sent price, maximum at the higher, and an amount that is left."""
    given = verdicts(asked, market=market(**fields))
    assert failed(given) == ({} if ok else {"market_minimum": "BELOW_MARKET_MINIMUM"})


def test_an_order_that_is_there_already_is_never_sent_again() -> None:
    """An order under the proposal's id at the exchange refuses a claim, whatever the database remembers."""
    given = verdicts(own_order=ORDER)
    assert failed(given) == {"order_exists": "ORDER_EXISTS"}
    assert given["order_exists"].facts == {"order_id": ORDER.order_id, "status": "filled"}


def test_a_dry_run_asks_for_no_order() -> None:
    """Without a look-up the check does not apply, which passes."""
    assert verdicts(own_order=NOT_ASKED)["order_exists"].verdict is Word.NOT_APPLICABLE


def test_a_refused_timestamp_is_a_clock_that_is_off() -> None:
    """Code 304 on the look-up, signed with our clock, is a skew; the order counts as unread."""
    given = verdicts(own_order=Unread("refused", 403, 304))
    assert failed(given) == {"order_exists": "ORDER_EXISTS", "clock": "CLOCK_SKEW"}


@pytest.mark.parametrize(("age_s", "ok"), [(0.0, True), (2.5, True), (2.501, False), (60.0, False)])
def test_facts_older_than_half_a_window_are_too_late(age_s: float, ok: bool) -> None:
    """Half of 5000 ms is the limit, the limit included."""
    given = verdicts(monotonic_s=100.0 + age_s)
    assert failed(given) == ({} if ok else {"window": "TOO_LATE"})


@pytest.mark.parametrize(
    ("fact", "codes"),
    [
        ("time", {"clock": "CLOCK_SKEW", "window": "TOO_LATE"}),
        ("market", {"market_trading": "MARKET_NOT_TRADING", "market_minimum": "BELOW_MARKET_MINIMUM"}),
        (
            "book",
            {
                "price_moved": "PRICE_MOVED",
                "spread": "SPREAD_TOO_WIDE",
                "limit_collar": "LIMIT_OUTSIDE_COLLAR",
                "market_minimum": "BELOW_MARKET_MINIMUM",
            },
        ),
        ("own_order", {"order_exists": "ORDER_EXISTS"}),
    ],
)
def test_a_fact_that_cannot_be_read_fails_every_check_that_needs_it(fact: str, codes: dict[str, str]) -> None:
    """Deny by default, and say that the fact was not read."""
    changed: dict[str, Any] = {fact: UNREAD}
    given = verdicts(wish("buy", amount_quote="25", limit_price="50000"), **changed)
    assert failed(given) == codes
    assert all(given[name].facts == {"unread": UNREAD.why} for name in codes)


def test_a_passing_verdict_carries_the_facts_of_the_registry() -> None:
    """What the documents say a check looks at is what it looked at."""
    named = {check.name: check.facts for check in MARKET_CHECKS}
    given = verdicts(wish("buy", amount_quote="25", limit_price="50000"))
    assert {name: set(verdict.facts) for name, verdict in given.items()} == {
        name: set(facts) for name, facts in named.items()
    }


def test_every_verdict_carries_its_facts_as_text() -> None:
    """Numbers in facts are text, so that no digit is lost on the way to the database."""
    for verdict in verdicts(wish("buy", amount_quote="25", limit_price="50000")).values():
        assert all(isinstance(fact, (str, bool)) for fact in verdict.facts.values())


def test_elapsed_time_is_rounded_up() -> None:
    """A begun millisecond counts whole: what is left of a window is never overstated."""
    assert elapsed_ms(ServerTime(0, 100.0), 100.0) == 0
    assert elapsed_ms(ServerTime(0, 100.0), 100.0011) == 2


def test_the_registry_names_each_check_once_with_codes_of_its_own() -> None:
    """Names are unique, every check has a code, and a demand that a person can read."""
    names = [check.name for check in CHECKS]
    assert len(set(names)) == len(names)
    assert all(check.codes and check.demands for check in CHECKS)


def test_a_market_that_was_not_asked_decides_nothing() -> None:
    """Every check of the market is there, says that it was not evaluated, and fails nothing."""
    given = not_evaluated()
    assert given == tuple(Verdict(check.name, Word.NOT_EVALUATED) for check in MARKET_CHECKS)
    assert not any_failed(given)


def test_a_verdict_is_kept_with_all_that_it_says() -> None:
    """The form for the database and the answer: name, word, code and facts, each under its own key."""
    verdict = Verdict("spread", Word.FAILED, "SPREAD_TOO_WIDE", {"bid": "1", "ask": "2"})
    assert verdict.as_json() == {
        "check": "spread",
        "verdict": "FAILED",
        "code": "SPREAD_TOO_WIDE",
        "facts": {"bid": "1", "ask": "2"},
    }


def test_verdicts_fail_only_with_codes_of_the_registry() -> None:
    """No code leaves this module that the registry does not list for its check."""
    codes = {check.name: check.codes for check in CHECKS}
    seen = verdicts(
        wish("buy", amount_quote="25", limit_price="1"),
        time=UNREAD,
        market=UNREAD,
        book=UNREAD,
        own_order=UNREAD,
    )
    assert all(verdict.code in codes[name] for name, verdict in seen.items())


def test_the_collar_is_the_policys_percentage() -> None:
    """Two percent are two percent of the reference price."""
    assert price_moved(wish("buy", amount_quote="25"), book("1", "51000"), Decimal(2)).verdict is Word.PASSED
    beyond = price_moved(wish("buy", amount_quote="25"), book("1", "51000.01"), Decimal(2))
    assert (beyond.verdict, beyond.code) == (Word.FAILED, "PRICE_MOVED")
    assert beyond.facts == {
        "current_price": "51000.01",
        "reference_price": "50000",
        "max_price_move_percent": "2",
    }


@pytest.mark.parametrize(("least", "ok"), [("49.50", True), ("49.51", False)])
def test_a_minimum_is_met_exactly_at_the_lower_price(least: str, ok: bool) -> None:
    """A sell of 0.001 at a collar's edge of 49500 is worth 49.50, not what the bid promises."""
    asked = wish("sell", amount="0.001")
    given = verdicts(asked, market=market(minOrderInQuoteAsset=least), book=book("50000", "50010"))
    assert failed(given) == ({} if ok else {"market_minimum": "BELOW_MARKET_MINIMUM"})


def test_a_buy_is_valued_at_the_ask() -> None:
    """0.00049725 at 50010 is worth 24.867; at the bid, which no buyer pays, it would be 24.858."""
    asked = wish("buy", amount_quote="25", limit_price="50010")
    assert failed(verdicts(asked, market=market(minOrderInQuoteAsset="24.86"))) == {}


def test_an_order_that_rounds_to_nothing_is_told_so() -> None:
    """The fact that decided it is the amount that is left."""
    given = verdicts(wish("sell", amount="0.001"), market=market(quantityDecimals=2))
    assert given["market_minimum"].facts == {"amount": "0"}


def test_the_facts_of_clock_and_window_are_what_was_measured() -> None:
    """Exchange time, whether ours was accepted, the age of the facts and the window."""
    given = verdicts(monotonic_s=100.5)
    assert given["clock"].facts == {"exchange_time_ms": "1790000000000", "own_accepted": True}
    assert given["window"].facts == {"age_ms": "500", "access_window_ms": "5000"}


def test_values_of_many_digits_are_compared_exactly() -> None:
    """Spread and minimum are decided by the fortieth digit, if it comes to that."""
    digits = "0" * 37 + "1"
    assert failed(verdicts(book=book("49875", f"50125.{digits}"))) == {"spread": "SPREAD_TOO_WIDE"}
    asked = wish("sell", amount="1", limit_price=f"50000.{digits}")
    fine = market(tickSize=f"0.{digits}", minOrderInQuoteAsset=f"50000.{digits}")
    top = book(f"50000.{digits}", "50010")
    assert failed(verdicts(asked, market=fine, book=top)) == {}
    finer = market(tickSize=f"0.{digits}", minOrderInQuoteAsset=f"50000.{digits[:-1]}2")
    assert failed(verdicts(asked, market=finer, book=top)) == {"market_minimum": "BELOW_MARKET_MINIMUM"}


def test_prices_of_many_digits_are_compared_exactly() -> None:
    """A price beyond the collar by its fortieth digit is beyond the collar."""
    ask = Decimal("50500." + "0" * 35 + "1")
    assert failed(verdicts(book=book("50490", ask)))["price_moved"] == "PRICE_MOVED"
