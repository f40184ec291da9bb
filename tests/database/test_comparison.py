"""Orders out = approvals in: what the exchange has is compared with what was approved."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.database.acts import background, claimed, decided, take, transaction, until_it_waits
from tests.database.harness import (
    FINGERPRINT,
    OPERATOR_ID,
    POLICY,
    Caller,
    Refused,
    TestDatabase,
    open_trading,
    order,
    record,
)


def _compare(
    db: TestDatabase,
    caller: Caller,
    *orders: dict[str, Any],
    started: datetime | None = None,
    read_from: timedelta = timedelta(hours=25),
    market: str = "BTC-EUR",
) -> dict[str, Any]:
    """Compare a complete read of a market that began now, back to `read_from` ago."""
    now = db.now if started is None else started
    answer: dict[str, Any] = caller.call(
        "compare_orders",
        p_market=market,
        p_read_started_at=now,
        p_read_from_ms=int((now - read_from).timestamp() * 1000),
        p_read_to_ms=int(now.timestamp() * 1000),
        p_orders=list(orders),
    )
    return answer


def _state(db: TestDatabase) -> str:
    state: str = db.one("select trading_state from public.trading_controls")
    return state


def _events(db: TestDatabase, event: str) -> list[dict[str, Any]]:
    return [detail for (detail,) in db.rows("select detail from public.audit_events where event = %s", event)]


def test_an_order_of_an_open_execution_is_adopted(db: TestDatabase, service: Caller) -> None:
    """An order whose answer was lost is found and recorded, with its fills, and halts nothing."""
    for lost in (None, "unknown"):
        execution = claimed(db, service)
        if lost is not None:
            record(service, execution, lost)

        answer = _compare(db, service, order(execution))

        assert (answer["explained"], answer["intruders"], answer["contradicted"]) == ("1", [], [])
        status, filled = db.rows(
            "select status, filled_amount from public.trade_executions where id = %s", execution["id"]
        )[0]
        assert (status, filled > 0) == ("FILLED", True)
    assert db.one("select count(*) from public.trade_history") == 2
    assert _state(db) == "ACTIVE"


def test_an_order_of_a_concluded_execution_wins(db: TestDatabase, service: Caller) -> None:
    """It was thought not to exist: stored, audited as CONTRADICTED, and trading stops."""
    execution = claimed(db, service)
    record(service, execution, "not_placed")

    answer = _compare(db, service, order(execution))

    assert answer["contradicted"] == [execution["id"]]
    assert (_state(db), len(_events(db, "CONTRADICTED"))) == ("HALTED", 1)


def test_an_order_without_approval_halts_once_and_its_fills_are_kept(
    db: TestDatabase, service: Caller
) -> None:
    """An intruder is stored without an owner, grows with its fills, counts for everybody, and halts once."""
    claimed(db, service)
    owner = db.owner()
    known = claimed(db, service, owner)
    intruder = order(known, "partiallyFilled", "0.0001", clientOrderId=str(uuid4()), orderId="an-intruder")
    before = _account_value(service, owner)

    answer = _compare(db, service, intruder)

    assert answer["intruders"] == answer["new_intruders"] == ["an-intruder"]
    assert _state(db) == "HALTED"
    assert _events(db, "INTRUDER")[0]["order"] == intruder
    open_trading(db)
    grown = intruder | {"filledAmount": "0.0003", "filledAmountQuote": "15", "status": "filled"}
    again = _compare(db, service, grown)
    assert (again["new_intruders"], _state(db)) == ([], "ACTIVE")
    assert db.rows("select user_id, execution_id, amount from public.trade_history") == [
        (None, None, Decimal("0.0003"))
    ]
    assert _account_value(service, owner) - before == Decimal(15) + Decimal(intruder["feePaid"])


def _account_value(caller: Caller, owner: object) -> Decimal:
    return Decimal(caller.call("get_execution_status", p_user_id=owner)["today"]["account_value_eur"])


def test_only_the_very_order_of_an_execution_is_explained_by_it(db: TestDatabase, service: Caller) -> None:
    """A second order under its id, another side or another market has no approval."""
    execution = claimed(db, service)
    record(service, execution, "placed", p_order=order(execution))
    for number, changed in enumerate(({}, {"side": "sell"}, {"market": "ETH-EUR"})):
        open_trading(db)
        name = f"another-{number}"

        answer = _compare(db, service, order(execution, **{**changed, "orderId": name}))

        assert (answer["new_intruders"], _state(db)) == ([name], "HALTED")
    assert len(_events(db, "INTRUDER")) == 3
    assert all(event["execution"]["id"] == execution["id"] for event in _events(db, "INTRUDER"))
    assert len(_events(db, "SECOND_ORDER")) == 1


def test_a_mark_moves_only_over_what_was_completely_read(db: TestDatabase, service: Caller) -> None:
    """A read that leaves a gap moves nothing; reconciled_at is the time before the read, and only rises."""
    claimed(db, service)
    db.advance(timedelta(minutes=5))
    stale = db.one("select reconciled_at from public.trading_controls")

    _compare(db, service, read_from=timedelta(hours=23))
    assert db.one("select reconciled_at from public.trading_controls") == stale

    began = db.now - timedelta(seconds=10)
    _compare(db, service, started=began)
    assert db.one("select reconciled_at from public.trading_controls") == began
    assert db.one("select read_to from interlock.market_marks where market = 'BTC-EUR'") == began

    _compare(db, service, started=began - timedelta(seconds=10))
    assert db.one("select reconciled_at from public.trading_controls") == began


def test_a_mark_moves_no_further_than_the_exchange_was_read(db: TestDatabase, service: Caller) -> None:
    """With the exchange's clock behind the database's, what was read ends earlier than the read began."""
    claimed(db, service)
    db.advance(timedelta(minutes=5))
    behind = db.now - timedelta(minutes=2)
    service.call(
        "compare_orders",
        p_market="BTC-EUR",
        p_read_started_at=db.now,
        p_read_from_ms=0,
        p_read_to_ms=int(behind.timestamp() * 1000),
        p_orders=[],
    )
    assert db.one("select read_to from interlock.market_marks where market = 'BTC-EUR'") == behind


def test_the_market_that_is_not_read_is_named(db: TestDatabase, service: Caller) -> None:
    """Status and alarm name what stops live trading, and not what is read or holds nothing back."""
    owner = db.owner()
    for market in ("BTC-EUR", "ETH-EUR"):
        claimed(db, service, market=market)
        _compare(db, service, market=market)
    db.do("insert into interlock.market_marks values ('TYPO-EUR', interlock.clock(), interlock.clock())")
    assert _comparison(service, owner) == (False, [])

    db.advance(timedelta(minutes=16))
    assert _comparison(service, owner) == (True, ["BTC-EUR", "ETH-EUR"])
    _compare(db, service)
    assert _comparison(service, owner) == (True, ["ETH-EUR"])
    assert service.call("alarm_overdue_executions")["comparison"]["unread_markets"] == ["ETH-EUR"]

    db.do("update public.trading_controls set mode = 'dry_run' where singleton")
    assert _comparison(service, owner) == (False, [])


@pytest.mark.parametrize(("traded", "read"), [(True, False), (False, True)], ids=["traded", "read once"])
def test_a_market_that_was_traded_or_read_once_holds_trading_back(
    db: TestDatabase, service: Caller, traded: bool, read: bool
) -> None:
    """An order may be in it that nobody has seen: trading waits until it is read, and is told for which."""
    claimed(db, service)
    owner = db.owner()
    since = db.now
    db.do(
        """
        insert into interlock.market_marks (market, read_to, watched_since, traded, first_read_at)
        values ('ETH-EUR', %s, %s, %s, %s)
        """,
        since,
        since,
        traded,
        since if read else None,
    )
    db.advance(timedelta(minutes=16))

    _compare(db, service)

    assert db.one("select reconciled_at from public.trading_controls") == since
    assert _comparison(service, owner) == (True, ["ETH-EUR"])


def test_before_the_first_comparison_every_market_is_named(db: TestDatabase, service: Caller) -> None:
    """A new project trades only after its first comparison: what is watched and was never read is missing."""
    owner = db.owner()
    with db.admin.transaction():
        db.do("alter table public.trading_controls disable trigger b_changes_are_versioned")
        db.do("update public.trading_controls set reconciled_at = null where singleton")
        db.do("alter table public.trading_controls enable trigger b_changes_are_versioned")
    db.do(
        """
        insert into interlock.market_marks
        values ('BTC-EUR', interlock.clock() - interval '24 hours', interlock.clock())
        """
    )
    assert _comparison(service, owner) == (True, ["BTC-EUR"])


def _comparison(service: Caller, owner: UUID) -> tuple[bool, list[str]]:
    """What the status says: is it stale, and for want of which markets?"""
    told = service.call("get_execution_status", p_user_id=owner)["reconciliation"]
    return told["stale"], told["unread_markets"]


def test_that_nothing_is_compared_is_in_the_audit_once(db: TestDatabase, service: Caller) -> None:
    """Once however often a run says so, with the markets; again after 6 hours, or when it happens again."""
    claimed(db, service)
    _compare(db, service)
    service.call("alarm_overdue_executions")
    assert _events(db, "COMPARISON_STALE") == []

    for minutes in (16, 1, 5 * 60):
        db.advance(timedelta(minutes=minutes))
        service.call("alarm_overdue_executions")
    assert [event["unread_markets"] for event in _events(db, "COMPARISON_STALE")] == [["BTC-EUR"]]
    db.advance(timedelta(hours=1))
    service.call("alarm_overdue_executions")
    assert len(_events(db, "COMPARISON_STALE")) == 2

    _compare(db, service)
    db.advance(timedelta(minutes=16))
    for _ in range(2):
        service.call("alarm_overdue_executions")
    assert len(_events(db, "COMPARISON_STALE")) == 3


def test_overlapping_runs_write_once_that_nothing_is_compared(db: TestDatabase, service: Caller) -> None:
    """While one run writes it, another neither waits nor writes it too."""
    claimed(db, service)
    db.advance(timedelta(minutes=16))
    other = db.as_service()
    with transaction(other):
        other.call("alarm_overdue_executions")
        service.call("alarm_overdue_executions")
    assert len(_events(db, "COMPARISON_STALE")) == 1


def test_a_comparison_has_all_its_rows_before_it_halts(db: TestDatabase, service: Caller) -> None:
    """Whoever records an order of the same read, and may halt too, is waited for with the controls free."""
    execution = claimed(db, service)
    recorder = db.as_owner_of_the_schema()
    intruder = order(execution, clientOrderId=str(uuid4()), orderId="an-intruder")

    with transaction(recorder):
        recorder.rows("select from public.trade_executions where id = %s for update", execution["id"])
        with background(partial(_compare, db, service, intruder, order(execution))) as comparing:
            until_it_waits(db, service, comparing)
            recorder.connection.execute(
                "select from public.trading_controls where singleton for update nowait"
            )
            recorder.connection.execute("commit")
            answer = comparing.result()
            recorder.connection.execute("begin")

    assert (answer["new_intruders"], answer["explained"]) == (["an-intruder"], "1")


def test_an_intruder_halts_although_a_claim_keeps_the_gate(db: TestDatabase, service: Caller) -> None:
    """The halt waits 2 s for open claims, and is written all the same."""
    execution = claimed(db, service)
    hanging = db.as_owner_of_the_schema()
    with transaction(hanging):
        take(hanging, "global gate", shared=True)
        answer = _compare(
            db, service, order(execution, clientOrderId=str(uuid4()), orderId="an-intruder"), order(execution)
        )
        assert answer["new_intruders"] == ["an-intruder"]
        assert _state(db) == "HALTED"


# What is watched


def _begin(service: Caller) -> dict[str, Any]:
    answer: dict[str, Any] = service.call(
        "begin_cleanup",
        p_instance_id="test",
        p_mode="live",
        p_operator_id=OPERATOR_ID,
        p_trade_key_fingerprint=FINGERPRINT,
        p_limit=10,
    )
    return answer


def _watched(db: TestDatabase) -> list[tuple[str, bool]]:
    return db.rows("select market, traded from interlock.market_marks order by market")


def _stop_watching(caller: Caller, market: str = "BTC-EUR") -> Any:
    return caller.call("stop_watching", p_market=market, p_who="the operator", p_reason="delisted")


def _held(db: TestDatabase, market: str = "BTC-EUR") -> Caller:
    """Who compares a market and holds its mark, once in a transaction."""
    comparing = db.as_owner_of_the_schema()
    comparing.connection.execute("begin")
    comparing.rows("select from interlock.market_marks where market = %s for update", market)
    return comparing


def test_a_claim_waits_for_no_comparison_of_a_market_that_was_traded(
    db: TestDatabase, service: Caller
) -> None:
    """Its mark needs no change. The first claim in a market changes it: that one says busy, and no error."""
    claimed(db, service, market="ETH-EUR")
    _begin(service)
    _held(db, "ETH-EUR")
    owner = db.owner()
    assert db.claim(service, owner, db.proposal(owner, market="ETH-EUR"))["outcome"] == "claimed"

    comparing = _held(db, "BTC-EUR")
    proposal = db.proposal(owner, market="BTC-EUR")
    assert db.claim(service, owner, proposal) == {"outcome": "busy", "execution": None, "checks": []}
    comparing.connection.execute("commit")
    assert db.claim(service, owner, proposal)["outcome"] == "claimed"
    assert _watched(db) == [("BTC-EUR", True), ("ETH-EUR", True)]


def test_no_claim_comes_between_the_check_and_the_end_of_a_watch(db: TestDatabase, service: Caller) -> None:
    """Allowed again and traded while the watch ends, a market is watched afterwards."""
    owner = db.owner({**POLICY, "allowlist": []})
    trader = db.owner()
    record(service, claimed(db, service, trader), "not_placed")
    db.as_owner_once(trader, "set_trading_policy", p_policy={**POLICY, "allowlist": []})
    comparing, operator = _held(db), db.as_service()
    with background(partial(_stop_watching, operator)) as ending:
        until_it_waits(db, operator, ending)
        db.as_owner_once(owner, "set_trading_policy", p_policy=POLICY)
        asked = db.claim_parameters(owner, db.proposal(owner))
        service.call("claim_execution", **asked)
        comparing.connection.execute("commit")
        assert ending.result()["outcome"] == "stopped"
    assert decided(service, asked)["outcome"] == "claimed"
    assert _watched(db) == [("BTC-EUR", True)]


def test_a_market_in_which_an_execution_is_open_stays_watched(db: TestDatabase, service: Caller) -> None:
    """Its order may be there: nobody's policy naming the market any more is not enough."""
    owner = db.owner()
    execution = claimed(db, service, owner)
    db.as_owner_once(owner, "set_trading_policy", p_policy={**POLICY, "allowlist": []})
    with pytest.raises(Refused, match="PT409 MARKET_IN_USE"):
        _stop_watching(service)
    record(service, execution, "not_placed")
    assert _stop_watching(service)["outcome"] == "stopped"


def test_an_execution_with_a_second_order_is_no_witness(db: TestDatabase, service: Caller) -> None:
    """Look-ups by its id find the second order: who does not see the first sees the account all the same."""
    older = claimed(db, service)
    db.advance(timedelta(seconds=1))
    newer = claimed(db, service)
    for execution in (older, newer):
        record(service, execution, "placed", p_order=order(execution))
    assert _begin(service)["witness"]["id"] == newer["id"]
    _compare(db, service, order(newer, orderId="another"))
    assert _begin(service)["witness"]["id"] == older["id"]


def test_what_no_policy_names_is_watched_on_only_if_it_was_traded_or_read(
    db: TestDatabase, service: Caller
) -> None:
    """A misspelled market goes at once when it was never asked for, an hour after it was; others stay."""
    owner = db.owner({**POLICY, "allowlist": ["BTC-EUR", "ETH-EUR", "TYPO-EUR"]})
    claimed(db, service, owner)
    asked = [(market["market"], market["holds_back"]) for market in _begin(service)["markets"]]
    assert asked == [("BTC-EUR", True), ("ETH-EUR", False), ("TYPO-EUR", False)]
    _compare(db, service, market="ETH-EUR")
    service.call("report_unread_markets", p_unread={"TYPO-EUR": "REFUSED", "GONE-EUR": "REFUSED"})
    policy = {**POLICY, "allowlist": [f"X{number}-EUR" for number in range(30)]}
    db.as_owner_once(owner, "set_trading_policy", p_policy=policy)
    asked = [(market["market"], market["holds_back"]) for market in _begin(service)["markets"]]
    assert len([market for market, _ in asked if market.startswith("X")]) == 20
    db.as_owner_once(owner, "set_trading_policy", p_policy={**POLICY, "allowlist": []})
    _begin(service)
    watched = [market for market, _ in _watched(db)]
    assert [market for market in watched if not market.startswith("X")] == ["BTC-EUR", "ETH-EUR", "TYPO-EUR"]
    assert len(watched) == 3 + 20
    db.advance(timedelta(hours=1, seconds=1))
    _begin(service)
    assert [market for market, _ in _watched(db)] == ["BTC-EUR", "ETH-EUR"]


def test_a_clock_that_was_set_back_keeps_no_market_unread(db: TestDatabase, service: Caller) -> None:
    """What was asked for in the future is asked for again, whether it holds trading back or not."""
    claimed(db, service, db.owner({**POLICY, "allowlist": ["BTC-EUR", "TYPO-EUR"]}))
    _begin(service)
    service.call("report_unread_markets", p_unread={"TYPO-EUR": "REFUSED"})
    assert _begin(service)["markets"] == []
    db.advance(-timedelta(minutes=1))
    assert [market["market"] for market in _begin(service)["markets"]] == ["BTC-EUR", "TYPO-EUR"]
