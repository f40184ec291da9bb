"""On the prices that the local world starts with, a scan ends in a proposal that a person can judge."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal

from functions.scan_tick.market import MarketFacts
from functions.scan_tick.question import ask_about
from functions.scan_tick.reader import MarketReader
from local.cycle import POLICY
from local.exchange.app import create_app
from local.exchange.exchange import create_exchange
from local.faults.serving import serving
from local.model.rule import decide
from shared.bitvavo import BitvavoReadonly, open_http
from shared.policy import parse_policy
from tests.people import People


def test_the_scripted_model_proposes_on_the_default_prices(people: People) -> None:
    """A pending buy within the default policy, with the numbers that led to it."""
    owner, _ = people.scanned_owner(POLICY)

    summary = people.run("scan_tick")

    assert summary["endings"].get("proposed", 0) >= 1
    (proposal,) = owner.read("trade_proposals")
    (stored,) = owner.read("trading_policies")
    policy = parse_policy(stored["policy"])
    assert (proposal["status"], proposal["side"]) == ("PENDING", "buy")
    assert proposal["market"] in policy.allowlist
    assert (
        policy.limits.order.min_eur <= Decimal(str(proposal["amount_quote"])) <= policy.limits.order.max_eur
    )
    assert Decimal(str(proposal["confidence"])) >= 70
    numbers = proposal["market_snapshot"]["markets"][proposal["market"]]
    assert proposal["reference_price"] is not None
    assert Decimal(str(proposal["reference_price"])) == Decimal(numbers["ask"])
    assert (proposal["model"], proposal["prompt_version"], len(proposal["input_hash"])) == (
        "scripted",
        "v1",
        64,
    )
    assert proposal["clamped"] is None


def test_the_scripted_model_proposes_on_generated_prices_too(people: People) -> None:
    """Where there are no candles, the generated prices end in a confident buy all the same."""
    (stored,) = people.owner(POLICY).read("trading_policies")
    policy = parse_policy(stored["policy"])
    with (
        serving(create_app(create_exchange(candles=None))) as address,
        ThreadPoolExecutor(2) as pool,
        open_http(5.0) as http,
    ):
        exchange = BitvavoReadonly(http, f"{address}/v2", None, lambda: time.time_ns() // 1_000_000)
        reader = MarketReader(exchange, pool, lambda: datetime.now(UTC), time.monotonic)
        seen = reader.read(policy.allowlist, time.monotonic() + 10)

    question = ask_about([each for each in seen if isinstance(each, MarketFacts)], policy, "scripted")
    data = json.loads(question.messages[1]["content"].removeprefix("<data>\n").removesuffix("\n</data>"))
    decision = decide(data)

    assert decision.action == "buy"
    assert decision.confidence >= 70
