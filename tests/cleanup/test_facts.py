"""What the exchange says late, twice or unasked: a fact wins, and what nobody approved stops trading."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Literal

import pytest

from functions.execute.protocol import ChecksFailed, Settled
from local.exchange.book import Ladder, Level
from local.exchange.foreign import ForeignOrders, place_foreign
from local.stack import OPERATOR_ID
from tests.cleanup.simulated import MINUTE, Simulation
from tests.database.acts import background
from tests.worker import wait_until


def _foreign(sim: Simulation, operator_id: int, **fields: object) -> str:
    wanted = ForeignOrders.model_validate({"market": "BTC-EUR", "operator_id": operator_id, **fields})
    (order,) = place_foreign(sim.exchange, wanted)
    return order


# Late truth


def test_executes_own_answer_after_the_conclusion_wins(sim: Simulation) -> None:
    """While execute waits for its answer, cleanup concludes NOT_PLACED; then the answer is: filled."""
    owner = sim.owner()
    proposal = sim.proposal(owner)
    sim.lag(10**9)
    held = sim.fail("hold_answer", "POST /order", count=1)
    with background(lambda: sim.approve(owner, proposal)) as approving:
        wait_until(lambda: held.held == 1)
        for _ in range(2):
            sim.advance(2 * MINUTE)
            sim.clean_up()
        assert sim.db.one("select status from public.trade_executions") == "NOT_PLACED"
        held.release()
        settled = approving.result()
    assert isinstance(settled, Settled)
    assert (settled.execution.status, settled.recorded) == ("FILLED", True)
    assert [str(settled.execution.id) in notice for notice in sim.notices] == [True]
    sim.faults.clear()
    _ends_as_the_exchange_says(sim, owner)
    later = sim.owner()
    assert sim.refused_with(later, sim.proposal(later)) == {"TRADING_HALTED"}


def test_a_lost_answer_whose_order_comes_up_after_the_conclusion_wins(sim: Simulation) -> None:
    """Execute never got its answer, no list shows the order for minutes; then one does: a fact wins."""
    owner = sim.owner()
    proposal = sim.proposal(owner)
    sim.lag(10**9)
    sim.fail("drop_answer", "POST /order", count=1)
    settled = sim.approve(owner, proposal)
    assert isinstance(settled, Settled)
    assert settled.execution.status == "UNKNOWN"
    for _ in range(2):
        sim.advance(2 * MINUTE)
        sim.clean_up()
    assert sim.db.one("select status from public.trade_executions") == "NOT_PLACED"
    sim.faults.clear()
    sim.advance(MINUTE)
    assert str(settled.execution.id) in (sim.clean_up().message() or "")
    _ends_as_the_exchange_says(sim, owner)


def test_an_order_that_comes_up_after_the_conclusion_wins(sim: Simulation) -> None:
    """NOT_PLACED was concluded, then the order is among the orders: the same, and a person hears of it."""
    execution = sim.absent()
    sim.appear(execution)
    sim.advance(MINUTE)
    summary = sim.clean_up()
    assert str(execution["id"]) in (summary.message() or "")
    sim.advance(MINUTE)
    assert sim.clean_up().message() is None
    _ends_as_the_exchange_says(sim, execution["user_id"])


def _ends_as_the_exchange_says(sim: Simulation, owner: object) -> None:
    sim.settle()
    assert sim.disagreements() == []
    assert sim.state == "HALTED"
    assert [detail["concluded"] for detail in sim.events("CONTRADICTED")] == ["NOT_PLACED"]
    today = sim.service.call("get_execution_status", p_user_id=owner)["today"]
    assert today["trades"] == "1"
    assert Decimal(today["value_eur"]) > 9


# Facts that grow


@pytest.mark.parametrize("side", ["buy", "sell"])
@pytest.mark.parametrize("rounds", ["order", "fill"])
def test_an_order_of_several_fills_halts_nobody(
    sim: Simulation, rounds: Literal["order", "fill"], side: str
) -> None:
    """Whether the exchange rounds orders or fills to the cent: what it takes is fair, and was approved."""
    sim.exchange.settings.rounds = rounds
    price, size = Decimal(50_000), Decimal("0.00005")
    sim.exchange.engine.makers["BTC-EUR"].pin(Ladder((Level(price, size),) * 4, (Level(price, size),) * 4))
    execution = sim.claimed(side=side)
    fact = sim.placed(execution)
    assert len(fact["fills"]) == 4
    sim.record(execution, "placed", p_order=fact)
    sim.settle()
    assert sim.state == "ACTIVE"
    assert sim.disagreements() == []
    fields = ("filled_amount_quote", "fee", "order_value")
    quote, fee, value = (Decimal(str(sim.row(execution)[field])) for field in fields)
    assert (fee > quote * Decimal("0.0025") + Decimal("0.01")) == (rounds == "fill")
    if side == "buy":
        assert quote + fee <= value


def test_a_fee_that_settles_late_is_added(sim: Simulation) -> None:
    """The order is final and its fee not known yet: cleanup asks until execution and history have it."""
    sim.exchange.settings.settle_after_ms = 20 * 60_000
    execution = sim.claimed()
    sim.record(execution, "placed", p_order=sim.placed(execution))
    assert (sim.status(execution), sim.row(execution)["fee"]) == ("FILLED", 0)
    runs = sim.settle()
    assert sim.row(execution)["fee"] > 0
    assert sim.disagreements() == []
    assert runs < 40


def test_asking_for_a_fee_that_never_settles_gets_rare(sim: Simulation) -> None:
    """A fill whose fee stays open is asked for with back-off: few look-ups a day, and trading goes on."""
    sim.exchange.settings.settle_after_ms = 10**12
    execution = sim.claimed()
    sim.record(execution, "placed", p_order=sim.placed(execution))
    asked = 0
    for _ in range(24 * 12):
        sim.advance(5 * MINUTE)
        asked += sum(sim.clean_up().executions.values())
    assert 40 < asked < 70
    assert sim.state == "ACTIVE"


def test_a_resting_order_is_cancelled_and_its_fills_are_kept(sim: Simulation) -> None:
    """An order that rests against expectation is cancelled; its end is recorded from what look-ups show."""
    execution = sim.claimed()
    sim.rest(execution)
    sim.advance(MINUTE)
    summary = sim.clean_up()
    assert sim.status(execution) == "CANCELED"
    assert "resting" in (summary.message() or "")
    assert [one["status"] for one in sim.events("EXECUTION_OPEN")] == [["CLAIMED", "OPEN"]]
    assert [one["status"] for one in sim.events("EXECUTION_CANCELED")] == [["OPEN", "CANCELED"]]
    sim.settle()
    assert sim.disagreements() == []
    assert sim.state == "ACTIVE"


def test_a_fill_that_grows_is_added_and_never_taken_back(sim: Simulation) -> None:
    """A part of it filled, then more: execution and history grow; an older look-up takes nothing back."""
    execution = sim.claimed()
    whole = sim.placed(execution)
    half = Decimal(str(whole["filledAmount"])) / 2
    quote = Decimal(str(whole["filledAmountQuote"])) / 2
    part = {**whole, "filledAmount": f"{half:f}", "filledAmountQuote": f"{quote:f}", "feePaid": "0"}
    part |= {"fills": [], "status": "partiallyFilled", "updated": int(str(whole["updated"])) - 1}
    sim.record(execution, "placed", p_order=part)
    assert sim.status(execution) == "PARTIALLY_FILLED"
    sim.advance(MINUTE)
    sim.settle()
    assert sim.disagreements() == []
    assert sim.record(execution, "placed", p_order=part)["outcome"] == "unchanged"
    assert sim.disagreements() == []


def test_two_orders_under_one_id_stop_trading_and_both_are_kept(sim: Simulation) -> None:
    """The first is the execution's, the second an intruder; both fills are in the history; told once."""
    execution = sim.claimed()
    sim.record(execution, "placed", p_order=sim.placed(execution))
    sim.advance(MINUTE)
    sim.appear(execution)
    told = [sim.clean_up().message()]
    for _ in range(3):
        sim.advance(MINUTE)
        told.append(sim.clean_up().message())
    assert sim.state == "HALTED"
    assert len(sim.orders(execution["id"])) == 2
    assert sim.disagreements() == []
    assert [message is not None for message in told].count(True) == 1
    (second,) = sim.events("SECOND_ORDER")
    assert second["known"] == sim.row(execution)["exchange_order_id"] != second["found"]["orderId"]
    sim.settle()


def test_a_second_order_under_one_id_that_rests_is_cancelled(sim: Simulation) -> None:
    """It is not left to trade: the audit names it, and not the execution's own order."""
    execution = sim.claimed()
    sim.record(execution, "placed", p_order=sim.placed(execution))
    sim.advance(MINUTE)
    second = sim.rest(execution)
    sim.advance(1)
    sim.clean_up()
    (_, accepted) = sim.orders(execution["id"])
    assert not sim.exchange.order_of(accepted).is_open
    assert [one["order_id"] for one in sim.events("CANCEL_ANNOUNCED")] == [second["orderId"]]
    assert sim.state == "HALTED"


# Orders out = approvals in


@pytest.mark.parametrize("fate", ["filled", "open", "canceled"])
def test_an_order_with_our_operator_id_that_nobody_approved_stops_trading(sim: Simulation, fate: str) -> None:
    """Within two runs trading is halted, with the order in the audit; the next approval is TRADING_HALTED."""
    owner = sim.owner()
    proposal = sim.proposal(owner)
    sim.clean_up()
    sim.advance(MINUTE)
    order = _foreign(sim, OPERATOR_ID, fate=fate)
    told = [sim.clean_up().message()]
    for _ in range(3):
        sim.advance(MINUTE)
        told.append(sim.clean_up().message())
    assert sim.state == "HALTED"
    assert [order in (message or "") for message in told] == [True, False, False, False]
    (intruder,) = sim.events("INTRUDER")
    assert (intruder["order_id"], intruder["execution"]) == (order, None)
    kept = sim.db.rows("select exchange_order_id, user_id from public.trade_history")
    assert kept == ([(order, None)] if fate == "filled" else [])
    assert sim.refused_with(owner, proposal) == {"TRADING_HALTED"}


def test_a_person_who_has_seen_an_intruder_and_resumed_is_not_halted_again(sim: Simulation) -> None:
    """It is read again for ten minutes; it halts once."""
    sim.owner()
    _foreign(sim, OPERATOR_ID)
    sim.clean_up()
    assert sim.state == "HALTED"
    sim.db.do("update public.trading_controls set trading_state = 'ACTIVE', reason = '' where singleton")
    for _ in range(3):
        sim.advance(MINUTE)
        sim.clean_up()
    assert sim.state == "ACTIVE"


@pytest.mark.parametrize("operator_id", [0, 8])
def test_an_owners_manual_order_is_nobodys_business(sim: Simulation, operator_id: int) -> None:
    """An order without our operator id halts nothing and is in no history."""
    sim.owner()
    _foreign(sim, operator_id)
    assert sim.clean_up().markets[0].outcome == "compared"
    assert sim.state == "ACTIVE"
    assert sim.db.rows("select * from public.trade_history") == []


def test_lag_alone_never_halts(sim: Simulation) -> None:
    """Approvals go on while lists and look-ups lag 30 s: nothing is contradicted, and nothing stops."""
    sim.lag(30_000)
    for number in range(12):
        owner = sim.owner()
        if number % 2:
            # Its answer is lost, and execute's own look-ups come too early to see it.
            sim.fail("drop_answer", "POST /order", count=1)
        settled = sim.approve(owner, sim.proposal(owner, market=("BTC-EUR", "ETH-EUR")[number % 3 % 2]))
        assert isinstance(settled, Settled)
        assert settled.execution.status == ("UNKNOWN" if number % 2 else "FILLED")
        sim.advance(7)
        if number % 3 == 0:
            sim.clean_up()
    sim.settle()
    assert sim.disagreements() == []
    assert sim.state == "ACTIVE"
    assert sim.events("CONTRADICTED") == sim.events("INTRUDER") == []


def test_an_order_under_the_id_of_a_dry_run_is_an_intruder(sim: Simulation) -> None:
    """A dry run sends nothing: its order is stored as nobody's, so that limits count it in live mode."""
    owner = sim.owner()
    proposal = sim.proposal(owner)
    sim.db.do("update public.trading_controls set mode = 'dry_run' where singleton")
    sim.sync()
    parameters = sim.db.claim_parameters(owner, proposal)
    parameters |= {"p_mode": "dry_run", "p_access_timestamp": sim.exchange_ms}
    price = sim.db.one("select reference_price from public.trade_proposals where id = %s", proposal)
    asked = json.loads(str(parameters["p_request_body"])) | {"price": f"{price:f}"}
    parameters["p_request_body"] = json.dumps(asked, separators=(",", ":"))
    dry = sim.service.call("claim_execution", **parameters)["execution"]
    assert dry["status"] == "DRY_RUN"
    sim.db.do("update public.trading_controls set mode = 'live' where singleton")
    order = sim.appear(dry)
    sim.clean_up()
    assert sim.state == "HALTED"
    assert sim.status(dry) == "DRY_RUN"
    assert sim.db.rows("select exchange_order_id, execution_id, mode from public.trade_history") == [
        (order["orderId"], None, None)
    ]


# A database that forgot


def test_a_restored_database_never_makes_a_second_order(sim: Simulation) -> None:
    """Dumped before an approval, restored after it, approved again: one order in total, and trading stops."""
    owner = sim.owner()
    proposal = sim.proposal(owner)
    kept = sim.dump()
    first = sim.approve(owner, proposal)
    assert isinstance(first, Settled)
    assert first.execution.status == "FILLED"
    sim.restore(kept)
    sim.advance(5)
    second = sim.approve(owner, proposal)
    assert isinstance(second, ChecksFailed)
    assert "ORDER_EXISTS" in {check.code for check in second.checks}
    sim.clean_up()
    sim.advance(MINUTE)
    sim.clean_up()
    assert len(sim.orders(first.execution.id)) == 1
    assert sim.state == "HALTED"
    assert sim.refused_with(owner, proposal) >= {"TRADING_HALTED"}


def test_a_database_restored_after_many_hours_is_compared_from_where_it_was(sim: Simulation) -> None:
    """The mark comes back with the dump: whatever was traded since is read, however long ago it was."""
    owner = sim.owner()
    sim.clean_up()
    kept = sim.dump()
    sim.advance(MINUTE)
    forgotten = sim.claimed(owner)
    sim.record(forgotten, "placed", p_order=sim.placed(forgotten))
    for _ in range(30):
        sim.advance(60 * MINUTE)
        sim.clean_up()
    sim.restore(kept)
    sim.clean_up()
    assert sim.state == "HALTED"
    assert [one["order_id"] for one in sim.events("INTRUDER")] == [
        one.order_id for one in sim.orders(forgotten["id"])
    ]
