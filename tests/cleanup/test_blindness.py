"""Whoever cannot see concludes nothing: not that an order is absent, not that all orders are explained."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import SecretStr

from local.exchange.app import create_app
from local.exchange.clock import Clock
from local.exchange.exchange import create_exchange
from local.exchange.faults import ExchangeFaultRequest
from local.exchange.foreign import ForeignOrders, place_foreign
from local.exchange.keys import DEFAULT_KEYS, OWNER, ApiKey, Right
from local.faults.plan import FaultPlan
from local.faults.serving import serving
from local.stack import OPERATOR_ID
from shared.bitvavo import KeyPair
from tests.cleanup.simulated import MINUTE, Simulation

_STRANGER = ApiKey("stranger".ljust(64, "0"), "s" * 64, "stranger", frozenset({Right.VIEW, Right.TRADE}))
_VIEW_ONLY = ApiKey("view-only".ljust(64, "0"), "s" * 64, OWNER, frozenset({Right.VIEW}))


def _pair(key: ApiKey) -> KeyPair:
    return KeyPair(key.key, SecretStr(key.secret))


@dataclass(frozen=True)
class Blind:
    """How one blind cleanup is set up: what it is given, and what it meets."""

    options: dict[str, Any]


@contextmanager
def _another_account(sim: Simulation) -> Iterator[Blind]:
    sim.exchange.keys[_STRANGER.key] = _STRANGER
    yield Blind({"keys": _pair(_STRANGER)})


@contextmanager
def _another_account_that_is_registered(sim: Simulation) -> Iterator[Blind]:
    sim.exchange.keys[_STRANGER.key] = _STRANGER
    _register(sim, _pair(_STRANGER))
    yield Blind({"keys": _pair(_STRANGER)})
    _register(sim, sim.keys)


@contextmanager
def _view_only(sim: Simulation) -> Iterator[Blind]:
    sim.exchange.keys[_VIEW_ONLY.key] = _VIEW_ONLY
    _register(sim, _pair(_VIEW_ONLY))
    yield Blind({"keys": _pair(_VIEW_ONLY)})
    _register(sim, sim.keys)


@contextmanager
def _the_trade_key_without_its_right(sim: Simulation) -> Iterator[Blind]:
    trade = next(key for key in DEFAULT_KEYS if key.key == sim.keys.key)
    sim.exchange.keys[trade.key] = ApiKey(trade.key, trade.secret, OWNER, frozenset({Right.VIEW}))
    yield Blind({})
    sim.exchange.keys[trade.key] = trade


@contextmanager
def _another_exchange(sim: Simulation) -> Iterator[Blind]:
    other = create_exchange(clock=Clock(lambda: sim.times.true_ns), candles=None)
    with serving(create_app(other)) as address:
        yield Blind({"url": f"{address}/v2"})


@contextmanager
def _html_instead_of_json(sim: Simulation) -> Iterator[Blind]:
    yield Blind({"url": sim.url.removesuffix("/v2") + "/v3"})


@contextmanager
def _html_for_orders(sim: Simulation) -> Iterator[Blind]:
    sim.fail("error_502", "GET /order*", done=False)
    sim.fail("error_502", "GET /trades", done=False)
    yield Blind({})
    sim.faults.clear()


@contextmanager
def _one_list_missing(sim: Simulation) -> Iterator[Blind]:
    sim.fail("lag", "GET /order", ms=10**9)
    sim.fail("lag", "GET /orders", ms=10**9)
    sim.fail("lag", "GET /ordersOpen", ms=10**9)
    sim.fail("not_json", "GET /trades")
    yield Blind({})
    sim.faults.clear()


def _register(sim: Simulation, keys: KeyPair) -> None:
    sim.db.do(
        "update public.trading_controls set trade_key_fingerprint = %s where singleton", keys.fingerprint
    )


@pytest.mark.parametrize(
    "blind",
    [
        _another_account,
        _another_account_that_is_registered,
        _view_only,
        _the_trade_key_without_its_right,
        _another_exchange,
        _html_instead_of_json,
        _html_for_orders,
        _one_list_missing,
    ],
)
def test_a_blind_cleanup_never_concludes_absence(sim: Simulation, blind: Callable[..., Any]) -> None:
    """However often it runs, an order that it cannot see stays an open question; whoever sees, settles it."""
    execution = sim.claimed()
    sim.placed(execution)
    with blind(sim) as made:
        for _ in range(6):
            sim.advance(40 * MINUTE)
            sim.clean_up(**made.options)
        assert sim.status(execution) == "CLAIMED"
        assert sim.events("ABSENT") == []
    sim.advance(60 * MINUTE)
    sim.settle()
    assert sim.disagreements() == []


def test_an_order_behind_1500_foreign_ones_is_found(sim: Simulation) -> None:
    """Look-ups never show it; the lists do, page after page."""
    execution = sim.claimed()
    sim.placed(execution)
    sim.fail("lag", "GET /order", ms=10**9)
    sim.advance(2 * MINUTE)
    place_foreign(sim.exchange, ForeignOrders(market="BTC-EUR", operator_id=0, orders=1500, fate="canceled"))
    sim.clean_up()
    assert sim.status(execution) in ("FILLED", "CANCELED")
    sim.faults.clear()
    sim.settle()
    assert sim.disagreements() == []
    assert sim.state == "ACTIVE"


def test_an_order_older_than_the_lists_reach_is_left_to_a_person(sim: Simulation) -> None:
    """After a day, finding nothing proves nothing: it is told, and settled by hand alone."""
    execution = sim.claimed()
    sim.advance(24 * 60 * MINUTE)
    alarms = []
    for _ in range(8):
        alarms += sim.clean_up().alarms
        sim.advance(60 * MINUTE)
    assert sim.status(execution) == "CLAIMED"
    assert sim.events("ABSENT") == []
    assert [str(execution["id"]) in alarm for alarm in alarms] == [True, True]
    settled = sim.service.call(
        "settle_by_hand",
        p_execution_id=execution["id"],
        p_status="NOT_PLACED",
        p_who="a person",
        p_reason="the account's statement shows no such order",
        p_evidence=None,
    )
    assert settled["outcome"] == "recorded"


def test_a_round_of_another_exchange_does_not_add_up(sim: Simulation) -> None:
    """One round here and one there are not two rounds."""
    execution = sim.claimed()
    sim.advance(2 * MINUTE)
    sim.clean_up()
    with _another_exchange(sim) as made:
        for _ in range(5):
            sim.advance(20 * MINUTE)
            sim.clean_up(**made.options)
        assert sim.status(execution) == "CLAIMED"
    sim.advance(30 * MINUTE)
    sim.settle()
    assert sim.status(execution) == "NOT_PLACED"


@pytest.mark.parametrize("blind", [_another_exchange, _html_instead_of_json, _html_for_orders])
def test_a_blind_comparison_opens_no_trading(sim: Simulation, blind: Callable[..., Any]) -> None:
    """A read that does not show a known order moves no mark: live trades stop within 15 minutes."""
    execution = sim.claimed()
    sim.record(execution, "placed", p_order=sim.placed(execution))
    sim.advance(2 * MINUTE)
    with blind(sim) as made:
        for _ in range(16):
            sim.clean_up(**made.options)
            sim.advance(MINUTE)
        owner = sim.owner()
        answer = sim.claim(owner, sim.proposal(owner))
        codes = {check["code"] for check in answer["checks"] if check["verdict"] == "FAILED"}
        assert codes == {"RECONCILIATION_STALE"}
    sim.clean_up()
    owner = sim.owner()
    assert sim.claim(owner, sim.proposal(owner))["outcome"] == "claimed"


def test_orders_without_their_operator_id_open_no_trading(sim: Simulation) -> None:
    """Were the exchange to leave our operator id out, every list would look innocent: it is noticed."""
    execution = sim.claimed()
    sim.record(execution, "placed", p_order=sim.placed(execution))
    sim.advance(2 * MINUTE)
    summary = sim.clean_up()
    assert [market.outcome for market in summary.markets] == ["compared", "compared"]
    sim.advance(MINUTE)
    for versions in sim.exchange.engine._versions["BTC-EUR"].values():
        for order in versions:
            object.__setattr__(order.asked, "operator_id", 0)
    summary = sim.clean_up()
    assert {market.market: market.outcome for market in summary.markets}["BTC-EUR"] == "blind"


def test_where_no_operator_id_is_listed_it_is_said_and_trading_goes_on(
    sim: Simulation, capsys: pytest.CaptureFixture[str]
) -> None:
    """Orders that are known are explained by their own id; that a stranger's would go unseen is told once."""
    sim.exchange.settings.lists_operator_ids = False
    owner = sim.owner()
    execution = sim.claimed()
    sim.record(execution, "placed", p_order=sim.placed(execution))
    place_foreign(sim.exchange, ForeignOrders(market="ETH-EUR", operator_id=OPERATOR_ID, orders=2))
    alarms = []
    for _ in range(16):
        sim.advance(MINUTE)
        summary = sim.clean_up()
        alarms += summary.alarms
        assert [market.outcome for market in summary.markets] == ["compared", "compared"]
        assert not any(market.operator_ids_shown for market in summary.markets)
    assert [alarm.partition(":")[0] for alarm in alarms] == ["OPERATOR_IDS_NOT_SHOWN"]
    assert '"event":"operator_ids_not_shown"' in capsys.readouterr().out
    (warning,) = sim.service.call("get_execution_status", p_user_id=owner)["reconciliation"]["warnings"]
    assert (warning["code"], warning["markets"]) == ("OPERATOR_IDS_NOT_SHOWN", ["BTC-EUR", "ETH-EUR"])
    assert len(sim.events("OPERATOR_IDS_NOT_SHOWN")) == 1
    assert sim.claim(owner, sim.proposal(owner))["outcome"] == "claimed"

    sim.rest(execution)
    sim.advance(MINUTE)
    sim.clean_up()
    assert sim.state == "HALTED"

    sim.exchange.settings.lists_operator_ids = True
    for apart_s, hidden in ((MINUTE, ["ETH-EUR"]), (25 * 60 * MINUTE, None)):
        sim.advance(apart_s)
        place_foreign(sim.exchange, ForeignOrders(market="BTC-EUR", operator_id=0, orders=1))
        sim.clean_up()
        told = sim.service.call("get_execution_status", p_user_id=owner)["reconciliation"]["warnings"]
        assert [warning["markets"] for warning in told] == ([hidden] if hidden else [])


@pytest.mark.parametrize("listed", [True, False])
def test_in_a_dedicated_account_every_order_is_compared(sim: Simulation, listed: bool) -> None:
    """Whatever it shows: one without an approval halts, and there is nothing to warn of."""
    sim.exchange.settings.lists_operator_ids = listed
    owner = sim.owner()
    execution = sim.claimed()
    sim.record(execution, "placed", p_order=sim.placed(execution))
    place_foreign(sim.exchange, ForeignOrders(market="BTC-EUR", operator_id=0, orders=1))
    sim.advance(MINUTE)
    sim.clean_up()
    assert sim.state == "ACTIVE"

    sim.service.call(
        "set_trading_controls",
        p_changes={"account_is_dedicated": True},
        p_version=sim.db.one("select version from public.trading_controls"),
    )
    sim.advance(MINUTE)
    summary = sim.clean_up()
    assert (sim.state, sum(market.intruders for market in summary.markets)) == ("HALTED", 1)
    assert len(sim.events("INTRUDER")) == 1
    assert sim.service.call("get_execution_status", p_user_id=owner)["reconciliation"]["warnings"] == []


def test_an_order_of_ours_that_hides_its_operator_id_is_told_although_others_show_theirs(
    sim: Simulation,
) -> None:
    """The least number there is stands for none: what hides on our orders hides on a stranger's."""
    execution = sim.claimed()
    sim.record(execution, "placed", p_order=sim.placed(execution))
    sim.advance(2 * MINUTE)
    sim.clean_up()
    place_foreign(sim.exchange, ForeignOrders(market="BTC-EUR", operator_id=0, orders=1))
    for versions in sim.exchange.engine._versions["BTC-EUR"].values():
        for order in versions:
            if order.asked.operator_id == OPERATOR_ID:
                object.__setattr__(order.asked, "operator_id", -(2**63))
    sim.advance(MINUTE)
    summary = sim.clean_up()
    told = {market.market: (market.outcome, market.operator_ids_shown) for market in summary.markets}
    assert told["BTC-EUR"] == ("compared", False)
    assert [alarm.partition(":")[0] for alarm in summary.alarms] == ["OPERATOR_IDS_NOT_SHOWN"]


def test_a_run_in_another_mode_settles_and_leaves_the_comparison(sim: Simulation) -> None:
    """With the database in dry_run, what is open is settled, and reconciled_at stays."""
    execution = sim.claimed()
    sim.placed(execution)
    before = sim.db.one("select reconciled_at from public.trading_controls")
    sim.db.do("update public.trading_controls set mode = 'dry_run' where singleton")
    sim.advance(2 * MINUTE)
    sim.settle()
    assert sim.disagreements() == []
    assert sim.db.one("select reconciled_at from public.trading_controls") == before


@pytest.mark.parametrize("fate", ["filled", "resting", "never placed"])
def test_a_cleanup_in_dry_run_settles_what_was_sent_live(sim: Simulation, fate: str) -> None:
    """After a return to dry run a fill is told, what rests is cancelled, absence is concluded."""
    execution = sim.claimed()
    if fate == "resting":
        sim.rest(execution)
    elif fate == "filled":
        sim.placed(execution)
    before = sim.db.one("select reconciled_at from public.trading_controls")
    sim.db.do("update public.trading_controls set mode = 'dry_run' where singleton")
    sim.advance(2 * MINUTE)
    sim.settle(mode="dry_run")
    assert sim.disagreements() == []
    settled = {"filled": "FILLED", "resting": "CANCELED", "never placed": "NOT_PLACED"}
    assert sim.status(execution) == settled[fate]
    assert sim.db.one("select reconciled_at from public.trading_controls") == before


def test_a_fill_without_its_order_begins_the_count_again(sim: Simulation) -> None:
    """One round found nothing, then a fill is listed: another empty round is the first, not the second."""
    execution = sim.claimed()
    sim.placed(execution)
    hidden = [
        ExchangeFaultRequest(name="lag", on=on, count=None, ms=10**9)
        for on in ("GET /order", "GET /orders", "GET /ordersOpen", "GET /trades")
    ]
    faults: FaultPlan[ExchangeFaultRequest] = sim.faults
    for fault in hidden:
        faults.add(fault)
    sim.advance(2 * MINUTE)
    sim.clean_up()
    faults.clear()
    for fault in hidden[:3]:
        faults.add(fault)
    sim.advance(MINUTE)
    sim.clean_up()
    faults.clear()
    for fault in hidden:
        faults.add(fault)
    sim.advance(10 * MINUTE)
    sim.clean_up()
    assert sim.status(execution) == "CLAIMED"
