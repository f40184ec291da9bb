"""Whatever owners write, another's live trading goes on: what is compared, in which order, how often."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from uuid import UUID

import pytest

from local.exchange.markets import MARKETS
from tests.cleanup.hostile import MOST, Hostile, cleaned_up, looks
from tests.cleanup.simulated import MINUTE, Simulation

_HOUR = 60 * MINUTE


@pytest.mark.parametrize(
    ("minutes", "owners", "seed"),
    [
        (17, 1, 1),
        *(
            pytest.param(130, 3, seed, marks=[pytest.mark.soak, pytest.mark.timeout(900)])
            for seed in range(2)
        ),
    ],
)
def test_whatever_owners_write_anothers_trading_goes_on(
    sim: Simulation, minutes: int, owners: int, seed: int
) -> None:
    """The comparison stays young, and what the exchange does not have is asked for once an hour."""
    honest = sim.owner()
    sim.clean_up()
    hostile = [Hostile(sim, f"{seed}/{number}") for number in range(owners)]
    with looks(sim) as asked:
        for _ in cleaned_up(sim, minutes, hostile):
            told = sim.service.call("get_execution_status", p_user_id=honest)["reconciliation"]
            assert int(told["age_seconds"]) <= 3 * MINUTE, told
    assert sim.claim(honest, sim.proposal(honest))["outcome"] == "claimed"
    _assert_seldom_asked(asked)
    assert sim.state == "ACTIVE"


def _assert_seldom_asked(asked: Mapping[str, list[float]]) -> None:
    made_up = {market: times for market, times in asked.items() if market not in MARKETS}
    assert made_up
    for market, times in made_up.items():
        assert all(later - earlier >= _HOUR for earlier, later in pairwise(times)), (market, times)


def test_markets_that_do_not_exist_stop_nobody_and_go_with_their_policy(sim: Simulation) -> None:
    """A hundred of them: others trade on; corrected, nothing is left of them after the hour."""
    honest, careless = sim.owner(), sim.owner()
    sim.clean_up()
    _allow(sim, careless, [f"X{number:02}-EUR" for number in range(MOST)])
    for _ in range(18):
        sim.advance(MINUTE)
        sim.clean_up()
    assert sim.claim(honest, sim.proposal(honest))["outcome"] == "claimed"
    assert _watched(sim) > {"BTC-EUR", "ETH-EUR"}

    _allow(sim, careless, [])
    sim.clean_up()
    sim.advance(_HOUR)
    sim.clean_up()
    assert _watched(sim) == {"BTC-EUR", "ETH-EUR"}


def test_what_holds_trading_back_is_read_first(sim: Simulation) -> None:
    """With hardly any points left, the markets that were traded are compared, and not what owners name."""
    sim.claimed()
    owner = sim.owner()
    sim.clean_up()
    _allow(sim, owner, [f"A{number:02}-EUR" for number in range(MOST)])
    sim.advance(MINUTE)
    with looks(sim) as asked:
        sim.clean_up()
    assert list(asked)[:2] == ["BTC-EUR", "ETH-EUR"]
    assert len(asked) == 2 + 20


def test_a_market_that_the_exchange_no_longer_has_stops_nobody_unless_it_was_traded(sim: Simulation) -> None:
    """It was read once and nothing was ever ordered in it: refused, it holds nothing back any more."""
    owner = sim.owner()
    execution = sim.claimed()
    sim.record(execution, "placed", p_order=sim.placed(execution))
    sim.clean_up()
    for market, age_s in (("ETH-EUR", 0), ("BTC-EUR", 20 * MINUTE)):
        sim.exchange.engine.markets.pop(market)
        for _ in range(20):
            sim.advance(MINUTE)
            sim.clean_up()
        told = sim.service.call("get_execution_status", p_user_id=owner)["reconciliation"]
        assert (int(told["age_seconds"]), told["stale"]) == (age_s, age_s > 0)
    assert told["unread_markets"] == ["BTC-EUR"]


def test_an_exchange_that_refuses_everything_opens_nothing(sim: Simulation) -> None:
    """A parameter that it no longer takes is refused in every market: nothing was read, and trading stops."""
    owner = sim.owner()
    sim.clean_up()
    sim.fail("error_code", "GET /orders", error_code=205, http_status=400, done=False)
    for _ in range(16):
        sim.advance(MINUTE)
        sim.clean_up()
    assert sim.refused_with(owner, sim.proposal(owner)) == {"RECONCILIATION_STALE"}
    sim.faults.clear()
    sim.advance(_HOUR + MINUTE)
    sim.clean_up()
    assert sim.claim(owner, sim.proposal(owner))["outcome"] == "claimed"


def test_what_is_not_read_is_named_and_told_once(sim: Simulation) -> None:
    """In the sentence each time; in the alarms once in 6 hours, whoever names it or no longer does."""
    owner = sim.owner()
    execution = sim.claimed(market="ETH-EUR")
    sim.record(execution, "placed", p_order=sim.placed(execution))
    _allow(sim, owner, ["TYPO-EUR"])
    first = sim.clean_up()
    assert "; 2 of 3 markets compared (refused: TYPO-EUR), " in first.sentence()
    assert first.alarms == ["TYPO-EUR is not compared: the exchange refuses it; it holds nothing back."]

    _allow(sim, owner, ["OTHER-EUR"])
    sim.exchange.engine.markets.pop("ETH-EUR")
    alarms = []
    for _ in range(13):
        sim.advance(30 * MINUTE)
        last = sim.clean_up()
        alarms += last.alarms
    assert "; 1 of 3 markets compared (refused: ETH-EUR, OTHER-EUR), " in last.sentence()
    assert [alarm.partition(":")[0] for alarm in alarms] == [
        "ETH-EUR is not compared",
        "ETH-EUR is not compared",
        "OTHER-EUR is not compared",
    ]
    assert all(
        alarm.endswith("live trading stops 15 minutes after its last comparison.")
        for alarm in alarms
        if alarm.startswith("ETH-EUR")
    )


def _allow(sim: Simulation, owner: UUID, markets: list[str]) -> None:
    sim.sync()
    sim.db.as_owner_once(owner, "set_trading_policy", p_policy={"allowlist": markets})


def _watched(sim: Simulation) -> set[str]:
    return {market for (market,) in sim.db.rows("select market from interlock.market_marks")}
