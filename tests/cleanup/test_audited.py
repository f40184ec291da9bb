"""Each item that a run counts is a log line and an audit event.

The items are those of the summary: a field that is added there has to be told here, or these tests fail.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields

import pytest

from functions.cleanup.summary import Compared, Found, MarketSummary, Summary
from local.exchange.foreign import ForeignOrders, place_foreign
from local.stack import OPERATOR_ID
from shared.events import Event
from tests.cleanup.simulated import MINUTE, Simulation
from tests.database.life import reserved, scanned


@dataclass(frozen=True)
class Told:
    """What comes before the run that counts an item, the item's audit event and its log line."""

    before: Callable[[Simulation], object]
    audit: str
    log: Event


def _a_proposal_is_forgotten(sim: Simulation) -> None:
    sim.proposal(sim.owner())
    sim.advance(60 * MINUTE)


def _a_scan_dies(sim: Simulation) -> None:
    """Its lock has expired, and so has the reservation of its model call."""
    reserved(sim.service, scanned(sim.db, sim.service, sim.owner()))
    sim.advance(11 * MINUTE)


def _an_owner_is_refused_three_times(sim: Simulation) -> None:
    owner = sim.owner()
    sim.advance(1)
    for market in ("BTC-EUR", "ETH-EUR", "BTC-EUR"):
        sim.record(sim.claimed(owner, market), "rejected", p_error_code="310")


def _an_answer_is_lost(sim: Simulation) -> None:
    sim.placed(sim.claimed())
    sim.advance(MINUTE)


def _nothing_was_sent(sim: Simulation) -> None:
    sim.claimed()
    sim.advance(2 * MINUTE)


def _nothing_was_found_once(sim: Simulation) -> None:
    _nothing_was_sent(sim)
    sim.clean_up()
    sim.advance(MINUTE)


def _look_ups_fail_for_long(sim: Simulation) -> None:
    sim.claimed()
    sim.fail("error_502", "GET /order")
    sim.advance(11 * MINUTE)


def _a_second_order_rests(sim: Simulation) -> None:
    execution = sim.claimed()
    sim.record(execution, "placed", p_order=sim.placed(execution))
    sim.advance(MINUTE)
    sim.rest(execution)
    sim.advance(1)


def _a_conclusion_was_wrong(sim: Simulation) -> None:
    sim.appear(sim.absent())
    sim.advance(MINUTE)


def _an_intruder_trades(sim: Simulation) -> None:
    sim.owner()
    place_foreign(
        sim.exchange, ForeignOrders.model_validate({"market": "BTC-EUR", "operator_id": OPERATOR_ID})
    )


def _operator_ids_are_hidden(sim: Simulation) -> None:
    sim.exchange.settings.lists_operator_ids = False
    execution = sim.claimed()
    sim.record(execution, "placed", p_order=sim.placed(execution))
    sim.advance(1)


def _a_market_is_misspelled(sim: Simulation) -> None:
    sim.db.as_owner_once(sim.owner(), "set_trading_policy", p_policy={"allowlist": ["TYPO-EUR"]})


def _lists_fail(sim: Simulation) -> None:
    sim.owner()
    sim.clean_up()
    sim.fail("error_502", "GET /orders")
    sim.advance(16 * MINUTE)


def _lists_are_cut(sim: Simulation) -> None:
    sim.owner()
    sim.clean_up()
    execution = sim.claimed()
    sim.record(execution, "placed", p_order=sim.placed(execution))
    sim.fail("lag", "GET /orders", ms=10**9)
    sim.advance(16 * MINUTE)


TOLD: Mapping[str, Told] = {
    "proposals_expired": Told(_a_proposal_is_forgotten, "PROPOSAL_EXPIRED", Event.PROPOSALS_EXPIRED),
    "locks_released": Told(_a_scan_dies, "LOCK_EXPIRED", Event.LOCKS_EXPIRED),
    "reservations_abandoned": Told(_a_scan_dies, "CALL_ABANDONED", Event.CALLS_ABANDONED),
    "owners_halted": Told(_an_owner_is_refused_three_times, "POLICY_CHANGED", Event.TRADING_HALTED),
    "executions.recorded": Told(_an_answer_is_lost, "EXECUTION_FILLED", Event.EXECUTION_SETTLED),
    "executions.contradicted": Told(_a_second_order_rests, "SECOND_ORDER", Event.RECORD_CONTRADICTED),
    "executions.not_found": Told(_nothing_was_sent, "NOTHING_LEARNED", Event.LOOKUP_FOUND_NOTHING),
    "executions.not_placed": Told(_nothing_was_found_once, "ABSENT", Event.ABSENCE_CONCLUDED),
    "executions.unreadable": Told(_look_ups_fail_for_long, "NOTHING_LEARNED", Event.LOOKUP_UNREADABLE),
    "markets.refused": Told(_a_market_is_misspelled, "MARKET_UNREAD", Event.MARKET_UNREADABLE),
    "markets.unreadable": Told(_lists_fail, "COMPARISON_STALE", Event.MARKET_UNREADABLE),
    "markets.blind": Told(_lists_are_cut, "COMPARISON_STALE", Event.COMPARISON_BLIND),
    "markets.intruders": Told(_an_intruder_trades, "INTRUDER", Event.INTRUDER_FOUND),
    "alarms: a fact contradicts": Told(_a_conclusion_was_wrong, "CONTRADICTED", Event.RECORD_CONTRADICTED),
    "alarms: an order rests": Told(_a_second_order_rests, "CANCEL_ANNOUNCED", Event.RESTING_ORDER_CANCELED),
    "alarms: a fate is open": Told(_look_ups_fail_for_long, "EXECUTION_OVERDUE", Event.EXECUTION_OVERDUE),
    "alarms: a halt": Told(_an_intruder_trades, "CONTROLS_CHANGED", Event.TRADING_HALTED),
    "alarms: operator ids are hidden": Told(
        _operator_ids_are_hidden, "OPERATOR_IDS_NOT_SHOWN", Event.OPERATOR_IDS_NOT_SHOWN
    ),
    "alarms: a market is not compared": Told(
        _a_market_is_misspelled, "MARKET_UNREAD", Event.MARKET_UNREADABLE
    ),
    "alarms: an intruder": Told(_an_intruder_trades, "INTRUDER", Event.INTRUDER_FOUND),
}
NOTHING_HAPPENED: Mapping[str, str] = {
    "executions.unchanged": "what was told is older than what is stored, which has its events",
    "executions.failed": "it is tried again; the database may be what failed",
    "executions.not_asked": "it waits for the next run",
    "markets.compared": "every order is explained: the mark and reconciled_at keep it",
    "markets.failed": "the mark stays, as for an unreadable one: COMPARISON_STALE once it lasts",
    "markets.not_asked": "the same",
    "markets.read": "how much was read",
    "markets.operator_ids_shown": "what follows from it is an alarm",
    "markets.ours": "how much of it may be ours",
    "problems": "what failed is tried again; the database may be what failed",
    "news": "a fill, a state, a job that was switched off: each has its event from when it happened",
    "notices": "the names of what alarms and news tell",
    "instance": "who ran",
    "mode": "as what",
    "reconciled_at": "how far the marks are",
    "exchange": "whether it was asked",
    "points_spent": "what that cost",
    "points_allowed": "what it might have",
    "events_sealed": "the audit itself",
    "audit_head": "the audit itself",
    "audit_sequence": "the audit itself",
    "database_reached": "without it there is no audit",
}


def _items() -> Iterator[str]:
    for field in fields(Summary):
        match field.name:
            case "executions":
                yield from (f"executions.{found}" for found in Found)
            case "markets":
                yield from (f"markets.{outcome}" for outcome in Compared)
                named = {one.name for one in fields(MarketSummary)} - {"market", "outcome"}
                yield from (f"markets.{name}" for name in named)
            case name:
                yield name


def test_every_field_of_the_summary_is_told_or_says_why_not() -> None:
    """Whoever counts something new says which audit event and which log line it has."""
    told = {item.partition(":")[0] for item in (*TOLD, *NOTHING_HAPPENED)}
    assert told == set(_items())
    assert not TOLD.keys() & NOTHING_HAPPENED.keys()


@pytest.mark.parametrize("before", dict.fromkeys(told.before for told in TOLD.values()))
def test_each_item_is_an_audit_event_and_a_log_line(
    sim: Simulation, before: Callable[[Simulation], object], capsys: pytest.CaptureFixture[str]
) -> None:
    """The run that counts it writes or finds its event, seals it, and writes its line."""
    items = {item: told for item, told in TOLD.items() if told.before == before}
    sim.clean_up()
    before(sim)
    sealed = {item: _sealed(sim, told.audit) for item, told in items.items()}
    capsys.readouterr()
    summary = sim.clean_up()
    logged = {json.loads(line)["event"] for line in capsys.readouterr().out.splitlines()}
    assert logged >= {told.log for told in items.values()}
    for item, told in items.items():
        assert _count(summary, item) > 0, item
        assert _sealed(sim, told.audit) == sealed[item] + 1, item


def _sealed(sim: Simulation, event: str) -> int:
    """How many events of one kind hold a seal."""
    number: int = sim.db.one(
        """
        select count(*)
        from public.audit_events as event
        join public.audit_seals as seal on seal.event_id = event.id
        where event.event = %s
        """,
        event,
    )
    return number


def _count(summary: Summary, item: str) -> int:
    field, _, part = item.partition(":")[0].partition(".")
    value = getattr(summary, field)
    if field == "executions":
        return int(value[Found(part)])
    if field == "markets" and part in set(Compared):
        return sum(market.outcome == part for market in value)
    if field == "markets":
        return sum(getattr(market, part) for market in value)
    return len(value) if field == "alarms" else int(value)
