"""The scripted model decides from the numbers of the question alone, and counts its calls."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from functions.scan_tick.answer import Hold, Trade, read_completion, read_decision
from functions.scan_tick.indicators import Bar
from functions.scan_tick.market import MarketFacts, Reading, judge
from functions.scan_tick.question import Question, ask_about
from functions.scan_tick.sizing import Sized, size
from local.exchange.exchange import DEFAULT_SEED
from local.exchange.generator import generate
from local.exchange.markets import MARKETS, START_PRICES
from local.model import create_app, decide
from shared.policy import parse_policy
from tests.unit.scanning import LAST_HOUR, NOW, POLICY, hourly

pytestmark = pytest.mark.unit

OPEN_POLICY = parse_policy(POLICY)
KEY = {"Authorization": "Bearer any"}


def pullback() -> tuple[Bar, ...]:
    """A calm week, a fall of a day, and six hours upwards on more volume than usual."""
    calm = [str(100 + Decimal(hour % 2) / 5) for hour in range(170)]
    fall = [str(100 - Decimal(hour) / 8) for hour in range(24)]
    turn = [str(Decimal("97.2") + Decimal(hour) / 10) for hour in range(6)]
    bars = hourly([*calm, *fall, *turn], LAST_HOUR)
    return tuple(replace(bar, volume=Decimal(2)) if hour >= 176 else bar for hour, bar in enumerate(bars))


def mirrored(bars: tuple[Bar, ...]) -> tuple[Bar, ...]:
    """The same movements upside down."""
    return tuple(
        replace(bar, open=200 - bar.open, high=200 - bar.low, low=200 - bar.high, close=200 - bar.close)
        for bar in bars
    )


def facts(bars: tuple[Bar, ...], market: str = "BTC-EUR") -> MarketFacts:
    """The market as a scan sees it, quoted around its last close."""
    close = bars[-1].close
    judged = judge(
        Reading(
            market,
            NOW,
            "trading",
            "EUR",
            8,
            Decimal("0.0001"),
            Decimal(5),
            close * Decimal("0.9999"),
            close * Decimal("1.0001"),
            bars,
        )
    )
    assert isinstance(judged, MarketFacts), judged
    return judged


def body(question: Question) -> dict[str, Any]:
    """The request that the scan sends."""
    return {
        "model": question.model,
        "messages": list(question.messages),
        "response_format": question.response_format,
    }


def answered(*seen: MarketFacts) -> Hold | Trade:
    """What the scripted model answers to a scan's question, read as the scan reads it."""
    question = ask_about(seen, OPEN_POLICY, "scripted")
    answer = TestClient(create_app()).post("/v1/chat/completions", json=body(question), headers=KEY)
    completion = read_completion(answer.content)
    assert isinstance(completion.content, str)
    decision = read_decision(completion.content, question.markets)
    assert isinstance(decision, Hold | Trade), decision
    assert completion.tokens.prompt == answer.json()["usage"]["prompt_tokens"] > 100
    return decision


def test_a_pullback_that_has_turned_is_bought() -> None:
    """Below its average, oversold and turning up on volume: a buy that the default policy can propose."""
    seen = facts(pullback())
    decision = answered(seen)
    assert isinstance(decision, Trade)
    assert (decision.side, decision.market) == ("buy", "BTC-EUR")
    assert decision.confidence >= 70
    assert "below its 50-hour average" in decision.rationale
    assert isinstance(size(decision, seen, OPEN_POLICY), Sized)


def test_a_rise_that_has_turned_is_sold() -> None:
    """The same movements upside down are a sell."""
    decision = answered(facts(mirrored(pullback())))
    assert isinstance(decision, Trade)
    assert decision.side == "sell"
    assert "above its 50-hour average" in decision.rationale


def test_a_calm_market_is_held() -> None:
    """Without a stretch and a turn there is nothing to do, and the hold says so."""
    decision = answered(facts(hourly([str(100 + hour % 2) for hour in range(200)])))
    assert isinstance(decision, Hold)
    assert "BTC-EUR" in decision.rationale


def test_a_fall_that_goes_on_is_held() -> None:
    """What has not turned is not bought."""
    bars = pullback()[:-6]
    moved = tuple(replace(bar, opened_at=LAST_HOUR - (bars[-1].opened_at - bar.opened_at)) for bar in bars)
    assert isinstance(answered(facts(moved)), Hold)


def test_the_clearest_of_several_markets_is_chosen() -> None:
    """Among several markets the one with the most evidence is proposed."""
    calm = facts(hourly([str(100 + hour % 2) for hour in range(200)]), "ETH-EUR")
    decision = answered(calm, facts(pullback()))
    assert isinstance(decision, Trade)
    assert decision.market == "BTC-EUR"


def test_the_same_numbers_give_the_same_decision() -> None:
    """Nothing but the numbers decides."""
    assert answered(facts(pullback())) == answered(facts(pullback()))


def test_the_amount_stays_within_the_sizes_of_the_question() -> None:
    """The scripted model keeps to the sizes that it is given."""
    data: Mapping[str, Any] = {
        "sizes": {"least_eur": "40", "most_eur": "41"},
        "markets": [facts(pullback()).numbers()],
    }
    decision = decide(data)
    assert decision.amount_eur is not None
    assert Decimal(40) <= decision.amount_eur <= Decimal(41)


def test_calls_are_counted_and_a_key_is_required() -> None:
    """Every call counts, also one that is refused; without a key there is no answer."""
    server = TestClient(create_app())
    question = ask_about([facts(pullback())], OPEN_POLICY, "scripted")
    assert server.post("/v1/chat/completions", json=body(question), headers=KEY).status_code == 200
    assert server.post("/v1/chat/completions", json=body(question)).status_code == 401
    assert server.post("/v1/chat/completions", json={}, headers=KEY).status_code == 400
    assert server.post("/v1/chat/completions", content=b"{", headers=KEY).status_code == 400
    assert server.get("/v1/models").status_code == 401
    assert server.get("/v1/models", headers=KEY).json()["data"][0]["id"] == "scripted"
    assert server.get("/_admin/calls").json()["calls"] == 4


def test_it_starts_alone_and_says_where_it_is() -> None:
    """`python -m local.model` prints its address, a key and a model's name before it serves."""
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "local.model"]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            lines = [process.stdout.readline().strip() for _ in range(3)]
        finally:
            process.terminate()
    assert lines[0].startswith("OPENAI_BASE_URL=http://127.0.0.1:")
    assert lines[1:] == ["OPENAI_API_KEY=any-non-empty-key", "OPENAI_MODEL=scripted"]


def test_what_it_says_is_json_that_a_strict_reader_accepts() -> None:
    """Amounts are written in plain notation with the decimals that they have."""
    data = {"sizes": {"least_eur": "6", "most_eur": "250"}, "markets": [facts(pullback()).numbers()]}
    decision = decide(data)
    question = ask_about([facts(pullback())], OPEN_POLICY, "scripted")
    answer = TestClient(create_app(lambda _data: decision)).post(
        "/v1/chat/completions", json=body(question), headers=KEY
    )
    content = json.loads(answer.json()["choices"][0]["message"]["content"], parse_float=Decimal)
    assert content["amount_eur"] == decision.amount_eur


def test_on_the_prices_of_a_world_that_goes_on_it_buys_and_sells() -> None:
    """Looking every few hours at the generator's market it finds both, of a size that can be proposed."""
    candles = generate("BTC-EUR", START_PRICES["BTC-EUR"], MARKETS["BTC-EUR"].tick, DEFAULT_SEED).candles
    sides = set()
    for end in range(len(candles) - 3, 200, -5):
        opened = [LAST_HOUR - timedelta(milliseconds=candles[end - 1].at - one.at) for one in candles[:end]]
        bars = (Bar(at, *one[1:]) for at, one in zip(opened[-200:], candles[end - 200 : end], strict=True))
        seen = facts(tuple(bars))
        decision = answered(seen)
        if isinstance(decision, Trade) and isinstance(size(decision, seen, OPEN_POLICY), Sized):
            sides.add(decision.side)
        if sides == {"buy", "sell"}:
            return
    raise AssertionError(f"only {sides}")
