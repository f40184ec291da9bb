"""What an execution may become: the state diagram, and facts that win over conclusions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.database.acts import background, claimed, take, transaction, until_it_waits
from tests.database.harness import (
    EXCHANGE,
    FINGERPRINT,
    NOON,
    Caller,
    Refused,
    TestDatabase,
    open_trading,
    order,
    record,
)

OPEN_FATES = {"OPEN", "PARTIALLY_FILLED", "FILLED", "CANCELED"}
MOVES: dict[str, set[str]] = {
    "CLAIMED": OPEN_FATES | {"UNKNOWN", "REJECTED", "NOT_PLACED"},
    "UNKNOWN": OPEN_FATES | {"REJECTED", "NOT_PLACED"},
    "OPEN": {"PARTIALLY_FILLED", "FILLED", "CANCELED"},
    "PARTIALLY_FILLED": {"FILLED", "CANCELED"},
    "FILLED": set(),
    "CANCELED": set(),
    "REJECTED": set(),
    "NOT_PLACED": set(),
    "DRY_RUN": set(),
}
MOVES_OF_CONCLUSIONS_TO_AN_ORDER = {
    "REJECTED": OPEN_FATES | {"UNKNOWN"},
    "NOT_PLACED": OPEN_FATES | {"UNKNOWN", "REJECTED"},
}
SETTLED = {"FILLED", "CANCELED", "REJECTED", "NOT_PLACED", "DRY_RUN"}


def _move(db: TestDatabase, execution: UUID, status: str, order_id: str | None) -> None:
    """Write a state and its proposal's directly, as whoever owns the schema could."""
    db.admin.execute(
        """
        update public.trade_executions
        set status = %(status)s,
            exchange_order_id = coalesce(%(order)s, exchange_order_id),
            filled_amount = case
                when %(status)s in ('FILLED', 'PARTIALLY_FILLED') then 0.0001
                else filled_amount
            end,
            settled_at = case
                when %(status)s = any (%(settled)s) then coalesce(settled_at, interlock.clock())
            end
        where id = %(id)s
        """,
        {"status": status, "order": order_id, "settled": sorted(SETTLED), "id": execution},
    )
    db.admin.execute(
        """
        update public.trade_proposals as proposal
        set status = interlock.proposal_status_for(%s)
        from public.trade_executions as execution
        where execution.id = %s and proposal.id = execution.proposal_id
            and proposal.status <> interlock.proposal_status_for(%s)
        """,
        (status, execution, status),
    )


@contextmanager
def _undone(db: TestDatabase) -> Iterator[None]:
    """A transaction that is rolled back after the block, its deferred rules checked."""
    with db.admin.transaction(force_rollback=True):
        yield
        db.do("set constraints all immediate")


def _in_every_state(db: TestDatabase, service: Caller) -> dict[str, UUID]:
    found = {}
    for state in MOVES:
        if state == "DRY_RUN":
            continue
        execution = claimed(db, service)
        found[state] = UUID(execution["id"])
        if state != "CLAIMED":
            with db.admin.transaction():
                _move(db, found[state], state, "an-order" if state in OPEN_FATES else None)
    db.do("update public.trading_controls set mode = 'dry_run' where singleton")
    owner = db.owner()
    dry = db.claim(service, owner, db.proposal(owner), p_mode="dry_run")
    found["DRY_RUN"] = UUID(dry["execution"]["id"])
    return found


def test_every_pair_of_states_is_allowed_by_the_diagram_or_refused(db: TestDatabase, service: Caller) -> None:
    """Also for the owner of the schema: a state becomes what the diagram says, and nothing else."""
    executions = _in_every_state(db, service)
    wrong = []
    for names_an_order in (False, True):
        for before, execution in executions.items():
            for after in MOVES:
                if before == after or (
                    not names_an_order and after in OPEN_FATES and before not in OPEN_FATES
                ):
                    continue  # a placed order without an id is refused by a rule of its own
                concluded = MOVES_OF_CONCLUSIONS_TO_AN_ORDER.get(before, set()) if names_an_order else set()
                allowed = after in MOVES[before] | concluded
                order_id = "an-order" if names_an_order or after in OPEN_FATES else None
                try:
                    with _undone(db):
                        _move(db, execution, after, order_id)
                except psycopg.errors.IntegrityError:
                    moved = False
                else:
                    moved = True
                if moved != allowed:
                    wrong.append((before, after, names_an_order))
    assert wrong == []


WORDS = [
    ("new", "0", "OPEN", "EXECUTED"),
    ("awaitingTrigger", "0", "OPEN", "EXECUTED"),
    ("partiallyFilled", "0.0001", "PARTIALLY_FILLED", "EXECUTED"),
    ("filled", None, "FILLED", "EXECUTED"),
    ("canceled", "0", "CANCELED", "EXECUTED"),
    ("canceledIOC", "0.0001", "CANCELED", "EXECUTED"),
    ("expired", "0", "CANCELED", "EXECUTED"),
    ("rejected", "0", "REJECTED", "FAILED"),
    ("rejected", "0.0001", "UNKNOWN", "EXECUTING"),
    ("aWordFromTomorrow", "0.0001", "UNKNOWN", "EXECUTING"),
]


def test_the_exchanges_word_becomes_the_state(db: TestDatabase, service: Caller) -> None:
    """Every listed word has one meaning; every other one means that the fate is open."""
    for word, filled, status, proposal in WORDS:
        owner = db.owner()
        execution = claimed(db, service, owner)

        stored = record(service, execution, "placed", p_order=order(execution, word, filled))["execution"]

        assert (word, stored["status"], _proposal_status(db, execution)) == (word, status, proposal)
        spent = db.one("select coalesce(sum(amount), 0) from public.trade_history where user_id = %s", owner)
        assert spent == Decimal(stored["filled_amount"])


@pytest.mark.parametrize("conclusion", ["not_placed", "rejected"])
def test_a_fact_wins_over_a_conclusion(db: TestDatabase, service: Caller, conclusion: str) -> None:
    """An order that nobody should have placed is stored, counted, audited, and stops all trading."""
    owner = db.owner()
    execution = claimed(db, service, owner)
    record(service, execution, conclusion)
    assert _proposal_status(db, execution) == "FAILED"

    answer = record(service, execution, "placed", actor="cleanup", p_order=order(execution))

    assert answer["outcome"] == "contradicted"
    assert answer["execution"]["status"] == "FILLED"
    assert _proposal_status(db, execution) == "EXECUTED"
    ((detail,),) = db.rows("select detail from public.audit_events where event = 'CONTRADICTED'")
    assert detail["concluded"] == conclusion.upper()
    assert detail["order"]["orderId"] == answer["execution"]["exchange_order_id"]
    state, reason = db.rows("select trading_state, reason from public.trading_controls")[0]
    assert state == "HALTED"
    assert execution["id"] in reason
    today = service.call("get_execution_status", p_user_id=owner)["today"]
    assert today["trades"] == "1"
    assert Decimal(today["value_eur"]) == db.one("select value_eur from public.trade_history")


def test_a_conclusion_never_replaces_a_fact(db: TestDatabase, service: Caller) -> None:
    """Once an order is known, nobody concludes that there is none, whatever its state is called."""
    for word, filled in [("new", "0"), ("filled", None), ("canceled", "0"), ("aWordFromTomorrow", "0")]:
        execution = claimed(db, service)
        stored = record(service, execution, "placed", p_order=order(execution, word, filled))["execution"]
        for conclusion in ("not_placed", "rejected", "unknown"):
            answer = record(service, execution, conclusion)
            assert answer == {"outcome": "unchanged", "execution": stored}


def test_only_the_process_that_claimed_concludes(db: TestDatabase, service: Caller) -> None:
    """Another attempt can report an order, and can never say that there is none."""
    execution = claimed(db, service)
    for conclusion in ("not_placed", "rejected"):
        for attempt in (uuid4(), None):
            with pytest.raises(Refused, match="Only the process that claimed"):
                record(service, execution, conclusion, p_attempt_id=attempt)
    assert _status(db, execution) == "CLAIMED"

    answer = record(service, execution, "placed", p_attempt_id=uuid4(), p_order=order(execution))

    assert answer["execution"]["status"] == "FILLED"


def test_an_order_that_is_not_of_this_execution_is_no_fact(db: TestDatabase, service: Caller) -> None:
    """Another id, market or side, or numbers that are none, change nothing."""
    execution = claimed(db, service)
    for field, value in {
        "orderId": "",
        "clientOrderId": str(uuid4()),
        "market": "ETH-EUR",
        "side": "sell",
        "filledAmount": "NaN",
        "filledAmountQuote": "1e9",
        "feePaid": "a lot",
    }.items():
        with pytest.raises(Refused, match="INVALID_RESULT"):
            record(service, execution, "placed", p_order=order(execution, **{field: value}))
    assert _status(db, execution) == "CLAIMED"


def test_a_repeated_record_changes_nothing(db: TestDatabase, service: Caller) -> None:
    """The same fact twice leaves one row of history and no second event."""
    execution = claimed(db, service)
    fact = order(execution)
    first = record(service, execution, "placed", p_order=fact)
    before = _evidence(db)

    again = record(service, execution, "placed", actor="cleanup", p_order=fact)

    assert again["execution"]["status"] == first["execution"]["status"] == "FILLED"
    assert _evidence(db) == before


def test_an_older_record_changes_nothing(db: TestDatabase, service: Caller) -> None:
    """A look-up that was overtaken by a later one moves nothing back and adds nothing."""
    execution = claimed(db, service)
    updated = int(execution["access_timestamp"])
    late = order(execution, "partiallyFilled", "0.0001", updated=updated + 100)
    stored = record(service, execution, "placed", p_order=late)["execution"]

    for older in (
        order(execution, "new", "0", updated=updated + 99),
        order(execution, "filled", updated=updated + 99),
    ):
        answer = record(service, execution, "placed", p_order=older)
        assert answer == {"outcome": "unchanged", "execution": stored}


def test_fills_grow_in_a_final_state_and_never_shrink(db: TestDatabase, service: Caller) -> None:
    """A fill that the exchange reports late is added to a canceled order; a smaller one is not believed."""
    execution = claimed(db, service)
    updated = int(execution["access_timestamp"])
    record(service, execution, "placed", p_order=order(execution, "canceled", "0.00005", updated=updated + 1))

    grown = record(
        service, execution, "placed", p_order=order(execution, "canceled", "0.0001", updated=updated + 2)
    )
    shrunk = record(
        service, execution, "placed", p_order=order(execution, "canceled", "0.00002", updated=updated + 3)
    )

    for answer in (grown, shrunk):
        assert answer["execution"]["status"] == "CANCELED"
        assert Decimal(answer["execution"]["filled_amount"]) == Decimal("0.0001")
    assert db.rows("select amount, amount_quote from public.trade_history") == [
        (Decimal("0.0001"), Decimal("5.0000"))
    ]


def test_late_fees_are_added_until_they_are_settled(db: TestDatabase, service: Caller) -> None:
    """A final order is looked at again until the fee of each fill is final, in execution and history."""
    execution = claimed(db, service)
    fill = str(uuid4())
    db.advance(timedelta(seconds=1))
    first = record(
        service,
        execution,
        "placed",
        p_order=order(execution, feePaid="0", fills=[{"id": fill, "settled": False}]),
    )["execution"]
    db.advance(timedelta(minutes=10))
    assert (first["status"], first["fills_settled"]) == ("FILLED", False)
    assert _next_check(db, execution)

    late = order(execution, fills=[{"id": fill, "settled": True}])
    settled = record(service, execution, "placed", actor="cleanup", p_order=late)["execution"]

    assert settled["fills_settled"] is True
    assert Decimal(settled["fee"]) == Decimal(late["feePaid"]) > 0
    assert db.one("select fee from public.trade_history") == Decimal(late["feePaid"])
    assert not _next_check(db, execution)


def test_evidence_of_trades_grows_and_is_never_taken_away(db: TestDatabase, service: Caller) -> None:
    """Also for the owner of the schema: no fill, fee, value, claim or row is made smaller or taken away."""
    execution = claimed(db, service)
    record(service, execution, "placed", p_order=order(execution))
    for statement in (
        "update public.trade_executions set filled_amount = filled_amount / 2",
        "update public.trade_executions set filled_amount_quote = 0",
        "update public.trade_executions set fee = 0",
        "update public.trade_executions set fills_settled = false",
        "update public.trade_executions set exchange_order_id = 'another'",
        "update public.trade_executions set order_value = 1",
        "update public.trade_executions set claimed_at = claimed_at - interval '1 day'",
        'update public.trade_executions set request = \'{"body": ""}\'',
        "delete from public.trade_executions",
        "truncate public.trade_executions cascade",
        "update public.trade_history set amount = amount / 2",
        "update public.trade_history set amount_quote = null",
        "update public.trade_history set fee = null",
        "update public.trade_history set counted_at = counted_at - interval '1 day'",
        "update public.trade_history set user_id = null",
        "delete from public.trade_history",
        "truncate public.trade_history",
        "update public.trade_proposals set amount_quote = 5",
        "update public.trade_proposals set status = 'PENDING'",
        "delete from public.trade_proposals",
    ):
        with pytest.raises(psycopg.errors.IntegrityError):
            db.do(statement)


def test_a_trade_counts_from_its_claim_and_never_from_the_future(db: TestDatabase, service: Caller) -> None:
    """Limits take an order's fill back to its claim, and one without an execution to its time or to now."""
    execution = claimed(db, service)
    at_the_claim = db.now
    db.advance(timedelta(minutes=30))
    record(service, execution, "placed", p_order=order(execution))
    db.do(
        """
        insert into public.trade_history (user_id, asset, side, amount, executed_at)
        values (null, 'ETH', 'buy', 1, %s), (null, 'SOL', 'buy', 1, %s)
        """,
        at_the_claim,
        db.now + timedelta(days=1),
    )
    counted = db.rows("select asset, counted_at from public.trade_history")
    assert dict(counted) == {"BTC": at_the_claim, "ETH": at_the_claim, "SOL": db.now}


def test_a_fill_that_is_not_listed_is_not_settled(db: TestDatabase, service: Caller) -> None:
    """An order that filled and shows no fill, or shows none by that name, is looked at again."""
    execution = claimed(db, service)
    for shown in (order(execution, fills=[]), order(execution, fills=None)):
        answer = record(service, execution, "placed", p_order=shown)
        assert answer["execution"]["fills_settled"] is False
    db.advance(timedelta(minutes=10))
    record(service, execution, "placed", actor="cleanup", p_order=order(execution, fills=[]))
    assert _next_check(db, execution)


def test_execution_and_proposal_are_written_together(db: TestDatabase, service: Caller) -> None:
    """Whoever writes one alone, the schema's owner too, writes nothing where the two would disagree."""
    execution = claimed(db, service)
    for statement in (
        "update public.trade_executions set status = 'NOT_PLACED', settled_at = claimed_at",
        "update public.trade_executions set status = 'OPEN', exchange_order_id = 'an-order'",
        "update public.trade_proposals set status = 'EXECUTED'",
        "update public.trade_proposals set status = 'FAILED'",
    ):
        with pytest.raises(psycopg.errors.IntegrityError, match="a proposal whose execution is"):
            db.do(statement)
    assert (_status(db, execution), _proposal_status(db, execution)) == ("CLAIMED", "EXECUTING")


def test_a_proposal_is_executed_only_with_an_execution(db: TestDatabase) -> None:
    """Nobody writes EXECUTED, EXECUTING or FAILED where nothing was claimed."""
    proposal = db.proposal(db.owner())
    for status in ("EXECUTING", "EXECUTED"):
        with pytest.raises(psycopg.errors.IntegrityError, match="only with an execution"):
            db.do("update public.trade_proposals set status = %s where id = %s", status, proposal)


def test_a_second_order_under_one_id_halts_once(db: TestDatabase, service: Caller) -> None:
    """It is stored and audited with both sides; a person who looked at it and resumed is not halted again."""
    execution = claimed(db, service)
    record(service, execution, "placed", p_order=order(execution))
    second = order(execution, filled="0.0001", orderId="a-second-order")

    answer = record(service, execution, "placed", actor="cleanup", p_order=second)

    assert answer["outcome"] == "contradicted"
    assert _controls_state(db) == "HALTED"
    ((detail,),) = db.rows("select detail from public.audit_events where event = 'SECOND_ORDER'")
    assert detail["known"] == answer["execution"]["exchange_order_id"] != "a-second-order"
    assert detail["found"]["orderId"] == "a-second-order"
    assert db.one("select count(*) from public.trade_history") == 2

    open_trading(db)
    record(service, execution, "placed", actor="cleanup", p_order=second)
    assert _controls_state(db) == "ACTIVE"
    assert db.one("select count(*) from public.trade_history") == 2


@pytest.mark.parametrize("what", ["OVERFILLED", "DEARER_FEE"])
def test_a_fill_beyond_what_was_approved_halts_once(db: TestDatabase, service: Caller, what: str) -> None:
    """More than was ordered, or a dearer fee than was reckoned with: stored, audited, and trading stops."""
    execution = claimed(db, service)
    fact = order(execution, filled="0.001") if what == "OVERFILLED" else order(execution, feePaid="1.00")

    answer = record(service, execution, "placed", p_order=fact)

    assert answer["execution"]["status"] == "FILLED"
    assert _controls_state(db) == "HALTED"
    ((detail,),) = db.rows("select detail from public.audit_events where event = %s", what)
    assert detail["ordered"]["clientOrderId"] == execution["id"]
    assert detail["found"] == fact
    assert db.one("select amount from public.trade_history") == Decimal(fact["filledAmount"])

    open_trading(db)
    record(service, execution, "placed", p_order=fact)
    assert _controls_state(db) == "ACTIVE"


TAKER_FEE, CENT = Decimal("0.0025"), Decimal("0.01")
LEAST = Decimal("0.000000000001")


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_a_fee_may_be_a_quarter_of_a_percent_and_a_cent_a_fill(
    db: TestDatabase, service: Caller, side: str
) -> None:
    """To the last digit, one digit more halts; without a list of fills, those that a buy leaves room for."""
    owner = db.owner()
    for number, cents in (({}, 4), ({"fills": None}, 4), ({"fills": []}, 4), (_fills(1), 1), (_fills(3), 3)):
        for more in (Decimal(0), LEAST):
            execution = claimed(db, service, owner, side)
            fact = order(execution, filled="0.0001", **number)
            fee = Decimal(fact["filledAmountQuote"]) * TAKER_FEE + cents * CENT + more
            if not number:
                del fact["fills"]
            record(service, execution, "placed", p_order=fact | {"feePaid": f"{fee:f}"})
            assert (number, _controls_state(db)) == (number, "HALTED" if more else "ACTIVE")
            open_trading(db)


def test_a_dear_fee_halts_once_its_currency_is_told(db: TestDatabase, service: Caller) -> None:
    """A fee whose currency is not known yet has no value; when it has one, it is judged."""
    execution = claimed(db, service)
    early = order(execution, feePaid="1.00", feeCurrency=None, fills=[{"id": "a-fill", "settled": False}])
    answer = record(service, execution, "placed", p_order=early)["execution"]
    assert (answer["fee"], answer["fee_eur"]) == ("1.00", None)
    assert _controls_state(db) == "ACTIVE"
    assert db.one("select count(*) from public.audit_events where event = 'UNVALUED_FEE'") == 0

    settled = early | {"fills": [{"id": "a-fill", "settled": True}]}
    record(service, execution, "placed", p_order=settled)
    assert _controls_state(db) == "ACTIVE"
    assert db.one("select count(*) from public.audit_events where event = 'UNVALUED_FEE'") == 1

    answer = record(service, execution, "placed", p_order=settled | {"feeCurrency": "EUR"})["execution"]

    assert (answer["fee"], answer["fee_eur"]) == ("1.00", "1.00")
    assert _controls_state(db) == "HALTED"
    assert db.one("select count(*) from public.audit_events where event = 'DEARER_FEE'") == 1


def test_a_fee_in_the_asset_is_valued_at_the_price_of_the_fills(db: TestDatabase, service: Caller) -> None:
    """A quarter of a percent of what was bought and a cent are fair, more is a dearer fee."""
    owner = db.owner()
    for satoshis, state in (("0.00000045", "ACTIVE"), ("0.00000046", "HALTED")):  # of 0.0001 BTC for 5 EUR
        execution = claimed(db, service, owner)
        fact = order(execution, filled="0.0001", feePaid=satoshis, feeCurrency="BTC")
        answer = record(service, execution, "placed", p_order=fact)["execution"]
        assert Decimal(answer["fee_eur"]) == Decimal(satoshis) * 50000
        assert _controls_state(db) == state
    values = db.rows("select value_eur from public.trade_history")
    assert values == [(Decimal(5),)] * 2


def test_a_fee_that_cannot_be_valued_is_told_and_counted_as_the_most(
    db: TestDatabase, service: Caller
) -> None:
    """It halts nobody, stands without a value, is audited once, and the buy counts as the largest order."""
    owner = db.owner()
    execution = claimed(db, service, owner)
    fact = order(execution, filled="0.0001", feePaid="3", feeCurrency="BNB")

    for _ in range(2):
        answer = record(service, execution, "placed", p_order=fact)["execution"]

    assert (answer["fee"], answer["fee_currency"], answer["fee_eur"]) == ("3", "BNB", None)
    assert _controls_state(db) == "ACTIVE"
    ((detail,),) = db.rows("select detail from public.audit_events where event = 'UNVALUED_FEE'")
    assert detail["found"] == fact
    today = service.call("get_execution_status", p_user_id=owner)["today"]
    largest = db.one("select policy #>> '{limits,order,max_eur}' from public.trading_policies")
    assert Decimal(today["value_eur"]) == Decimal(largest)


def test_a_buy_that_spends_more_than_was_approved_halts(db: TestDatabase, service: Caller) -> None:
    """However many fills its fee is spread over: what was approved is the most that may be spent."""
    owner = db.owner()
    for more, state in ((Decimal(0), "ACTIVE"), (LEAST, "HALTED")):
        execution = claimed(db, service, owner)
        fact = order(execution, **_fills(100))
        fee = Decimal(execution["order_value"]) - Decimal(fact["filledAmountQuote"]) + more
        record(service, execution, "placed", p_order=fact | {"feePaid": f"{fee:f}"})
        assert _controls_state(db) == state
    assert db.one("select count(*) from public.audit_events where event = 'OVERSPENT'") == 1


def _fills(count: int) -> dict[str, Any]:
    return {"fills": [{"id": str(uuid4()), "settled": True} for _ in range(count)]}


_PART = "0.00001"
HALTING: dict[str, tuple[str, dict[str, Any]]] = {
    "CONTRADICTED": ("not_placed", {}),
    "SECOND_ORDER": ("placed", {"orderId": "a-second-order"}),
    "OVERFILLED": ("placed", {"filledAmount": "0.001"}),
    "DEARER_FEE": ("placed", {"feePaid": "1.00"}),
    "OVERSPENT": ("placed", {"filledAmountQuote": "10.01"}),
}
HALTED_BY: dict[str, Callable[[Caller, dict[str, Any], dict[str, Any]], Any]] = {
    "execute": lambda caller, execution, fact: record(caller, execution, "placed", p_order=fact),
    "cleanup": lambda caller, execution, fact: record(caller, execution, "placed", "cleanup", p_order=fact),
    "a comparison": lambda caller, _, fact: caller.call(
        "compare_orders",
        p_market=fact["market"],
        p_read_started_at=NOON,
        p_read_from_ms=0,
        p_read_to_ms=int(NOON.timestamp() * 1000),
        p_orders=[fact],
    ),
    "a person": lambda caller, execution, fact: _settle(caller, execution, "FILLED", fact),
}


@pytest.mark.parametrize(
    ("who", "what"),
    [(who, what) for who in HALTED_BY for what in HALTING if (who, what) != ("a person", "CONTRADICTED")],
)
def test_what_halts_waits_for_open_claims_before_it_locks_a_row(
    shared_db: TestDatabase, who: str, what: str
) -> None:
    """Gate before rows: the halt that comes with a fact lets a claim that is under way end first."""
    db = shared_db
    open_trading(db)
    before, changed = HALTING[what]
    execution = claimed(db, db.as_service())
    record(
        db.as_service(),
        execution,
        before,
        p_order=None if before == "not_placed" else order(execution, "partiallyFilled", _PART),
    )
    recorder, holder = db.as_service(), db.as_owner_of_the_schema()

    with transaction(holder):
        take(holder, "global gate", shared=True)
        with background(partial(HALTED_BY[who], recorder, execution, order(execution, **changed))) as halting:
            until_it_waits(db, recorder, halting)
            db.do("select 1 from public.trade_executions where id = %s for update nowait", execution["id"])
            assert _controls_state(db) == "ACTIVE"
            holder.connection.execute("commit")
            halting.result()
            holder.connection.execute("begin")
    assert _controls_state(db) == "HALTED"
    told = db.rows("select event from public.audit_events where execution_id = %s", execution["id"])
    assert (what,) in told


def test_what_halts_gives_the_gate_up_where_it_would_wait_for_ever(db: TestDatabase, service: Caller) -> None:
    """A claim that holds the proposal's row and waits for the gate is no deadlock: the fact is written."""
    execution = claimed(db, service)
    record(service, execution, "not_placed")
    earlier, claiming = db.as_owner_of_the_schema(), db.as_owner_of_the_schema()

    with transaction(earlier), transaction(claiming):
        take(earlier, "global gate", shared=True)
        with background(
            lambda: record(service, execution, "placed", actor="cleanup", p_order=order(execution))
        ) as recording:
            until_it_waits(db, service, recording)
            claiming.connection.execute(
                "select from public.trade_proposals where id = %s for update", (execution["proposal_id"],)
            )
            earlier.connection.execute("commit")
            until_it_waits(db, service, recording)
            take(claiming, "global gate", shared=True)
            claiming.connection.execute("commit")
            assert recording.result()["outcome"] == "contradicted"
            earlier.connection.execute("begin")
            claiming.connection.execute("begin")
    assert _controls_state(db) == "HALTED"


def test_a_contradiction_is_written_although_a_claim_keeps_the_gate(
    db: TestDatabase, service: Caller
) -> None:
    """A fact and its halt wait 2 s for the gate and no longer: a claim that hangs does not hide an order."""
    execution = claimed(db, service)
    record(service, execution, "not_placed")
    owner = db.owner()
    hanging = db.as_service()

    with transaction(hanging):
        db.claim(hanging, owner, db.proposal(owner))
        answer = record(service, execution, "placed", actor="cleanup", p_order=order(execution))
        assert answer["outcome"] == "contradicted"
        assert _controls_state(db) == "HALTED"


# By hand


def test_a_person_settles_with_the_exchanges_own_evidence(db: TestDatabase, service: Caller) -> None:
    """The order object is a fact whoever brings it; the state that is named must be the one it shows."""
    execution = claimed(db, service)
    shown = order(execution, "canceled", "0.0001")
    for wrong in ("FILLED", "REJECTED", "NOT_PLACED"):
        with pytest.raises(Refused, match="The evidence shows CANCELED"):
            _settle(service, execution, wrong, shown)

    answer = _settle(service, execution, "CANCELED", shown)

    assert answer["execution"]["status"] == "CANCELED"
    assert db.one("select amount from public.trade_history") == Decimal("0.0001")
    ((actor, detail),) = db.rows(
        "select actor, detail from public.audit_events where event = 'SETTLED_BY_HAND'"
    )
    assert (actor, detail["who"], detail["reason"]) == ("operator", "Ada", "looked at the exchange")
    assert detail["evidence"] == shown
    assert _settle(service, execution, "CANCELED", shown)["outcome"] == "unchanged"


def test_without_evidence_a_person_waits_a_day(db: TestDatabase, service: Caller) -> None:
    """24 hours after its access timestamp a conclusion is taken from a person, and not a second before."""
    execution = claimed(db, service)
    db.advance(timedelta(hours=24) - timedelta(seconds=1))
    with pytest.raises(Refused, match="TOO_EARLY"):
        _settle(service, execution, "NOT_PLACED")
    db.advance(timedelta(seconds=1))
    for fact in ("FILLED", "CANCELED"):
        with pytest.raises(Refused, match="need the exchange's own order object"):
            _settle(service, execution, fact)

    answer = _settle(service, execution, "NOT_PLACED")

    assert answer["execution"]["status"] == "NOT_PLACED"
    assert _proposal_status(db, execution) == "FAILED"


def test_a_known_order_is_settled_by_its_order_object_alone(db: TestDatabase, service: Caller) -> None:
    """Nobody writes off an order that the exchange has; a word that nobody knows is read by a person."""
    for word in ("new", "aWordFromTomorrow"):
        execution = claimed(db, service)
        record(service, execution, "placed", p_order=order(execution, word, "0"))
        db.advance(timedelta(hours=25))
        open_trading(db)
        with pytest.raises(Refused, match="ORDER_EXISTS"):
            _settle(service, execution, "NOT_PLACED")
        shown = order(execution, "canceled" if word == "new" else word, "0")
        assert _settle(service, execution, "CANCELED", shown)["execution"]["status"] == "CANCELED"


def test_a_person_settles_by_an_order_that_seems_older_than_what_is_known(
    db: TestDatabase, service: Caller
) -> None:
    """The exchange's clock was set back since: what a person has seen is the truth all the same."""
    execution = claimed(db, service)
    record(service, execution, "placed", p_order=order(execution, "new", "0"))
    older = order(execution, "canceled", "0") | {"updated": int(execution["access_timestamp"]) - 1000}
    assert record(service, execution, "placed", p_order=older)["outcome"] == "unchanged"

    answer = _settle(service, execution, "CANCELED", older)

    assert answer["execution"]["status"] == "CANCELED"


def test_a_settlement_by_hand_names_who_why_and_a_final_state(db: TestDatabase, service: Caller) -> None:
    """What does not say who decided what, and why, decides nothing."""
    execution = claimed(db, service)
    for changed in ({"p_who": " "}, {"p_reason": ""}, {"p_status": "OPEN"}, {"p_status": None}):
        with pytest.raises(Refused, match="INVALID_SETTLEMENT"):
            _settle(service, execution, "FILLED", order(execution), **changed)
    assert _status(db, execution) == "CLAIMED"


# A cancel


def test_a_cancel_is_in_the_audit_before_it_is_asked_for(db: TestDatabase, service: Caller) -> None:
    """Each one, with the order that rests, be it a second one under the id; no state is recorded."""
    execution = claimed(db, service)
    resting = order(execution, "new", "0")
    record(service, execution, "placed", p_order=resting)
    for announced in (resting["orderId"], "a-second-order"):
        service.call("announce_cancel", p_execution_id=execution["id"], p_order_id=announced)
    told = db.rows("select detail, actor from public.audit_events where event = 'CANCEL_ANNOUNCED'")
    assert {(detail["order_id"], actor) for detail, actor in told} == {
        (resting["orderId"], "cleanup"),
        ("a-second-order", "cleanup"),
    }
    assert _status(db, execution) == "OPEN"
    with pytest.raises(Refused, match="EXECUTION_NOT_FOUND"):
        service.call("announce_cancel", p_execution_id=uuid4(), p_order_id="an-order")


# Absence


def test_two_rounds_that_agree_conclude_that_no_order_was_placed(db: TestDatabase, service: Caller) -> None:
    """The first round concludes nothing; the second, 30 s later on both clocks, does."""
    execution = claimed(db, service)
    began = _first_moment(execution)
    db.advance(timedelta(seconds=70))

    assert (
        _absent(db, service, execution, p_began_ms=began, p_ended_ms=began + 100)["outcome"] == "first_round"
    )
    assert _status(db, execution) == "CLAIMED"
    db.advance(timedelta(seconds=30))
    second = began + 100 + 30_000
    answer = _absent(db, service, execution, p_began_ms=second, p_ended_ms=second + 100)

    assert answer["outcome"] == "concluded"
    assert (answer["execution"]["status"], answer["execution"]["error_code"]) == ("NOT_PLACED", "ABSENT")
    assert _proposal_status(db, execution) == "FAILED"
    assert db.one("select count(*) from public.audit_events where event = 'ABSENT'") == 1
    assert _absent(db, service, execution)["outcome"] == "unchanged"


def test_a_second_round_that_comes_too_soon_on_either_clock_concludes_nothing(
    db: TestDatabase, service: Caller
) -> None:
    """30 s on the exchange's clock alone, or on the database's alone, are not enough."""
    execution = claimed(db, service)
    began = _first_moment(execution)
    db.advance(timedelta(seconds=70))
    _absent(db, service, execution, p_began_ms=began, p_ended_ms=began + 100)

    db.advance(timedelta(seconds=29, milliseconds=999))
    by_the_exchange = _absent(db, service, execution, p_began_ms=began + 60_000, p_ended_ms=began + 60_100)
    db.advance(timedelta(milliseconds=1))
    by_the_database = _absent(db, service, execution, p_began_ms=began + 30_099, p_ended_ms=began + 30_200)
    started_before = _absent(
        db,
        service,
        execution,
        p_run_started_at=db.now - timedelta(seconds=1),
        p_began_ms=began + 60_000,
        p_ended_ms=began + 60_100,
    )

    assert {answer["outcome"] for answer in (by_the_exchange, by_the_database, started_before)} == {
        "too_soon"
    }
    assert _status(db, execution) == "CLAIMED"


def test_a_round_from_before_the_first_begins_the_count_again(db: TestDatabase, service: Caller) -> None:
    """An exchange whose clock was set back has to be silent twice more."""
    execution = claimed(db, service)
    began = _first_moment(execution)
    db.advance(timedelta(seconds=70))
    _absent(db, service, execution, p_began_ms=began + 90_000, p_ended_ms=began + 90_100)
    db.advance(timedelta(seconds=31))

    set_back = _absent(db, service, execution, p_began_ms=began, p_ended_ms=began + 100)
    soon = _absent(db, service, execution, p_began_ms=began + 40_000, p_ended_ms=began + 40_100)

    assert (set_back["outcome"], soon["outcome"]) == ("first_round", "too_soon")


def test_a_listed_fill_begins_the_count_again(db: TestDatabase, service: Caller) -> None:
    """A fill without its order is a trace: the silent round before it proves nothing any more."""
    execution = claimed(db, service)
    began = _first_moment(execution)
    db.advance(timedelta(seconds=70))
    _absent(db, service, execution, p_began_ms=began, p_ended_ms=began + 100)
    service.call("release_reconciliation", p_execution_id=execution["id"], p_reason="FILL_LISTED")
    db.advance(timedelta(seconds=40))

    answer = _absent(db, service, execution, p_began_ms=began + 40_000, p_ended_ms=began + 40_100)

    assert answer["outcome"] == "first_round"


def test_what_is_no_complete_round_says_nothing(db: TestDatabase, service: Caller) -> None:
    """Another key or exchange, too early or after a day: silence is no proof."""
    execution = claimed(db, service)
    began = _first_moment(execution)
    late = int(execution["access_timestamp"]) + 24 * 60 * 60 * 1000
    db.advance(timedelta(seconds=70))

    def reason(**changed: object) -> str:
        answer = _absent(db, service, execution, **changed)
        assert answer["outcome"] == "refused"
        return str(answer["reason"])

    assert reason(p_trade_key_fingerprint="f" * 16) == "another key"
    assert reason(p_trade_key_fingerprint=None) == "another key"
    assert reason(p_exchange_url="https://elsewhere.test/v2") == "another exchange"
    assert reason(p_run_started_at=db.now + timedelta(seconds=1)) == "the run started in the future"
    assert reason(p_began_ms=began - 1) == "too early"
    assert reason(p_began_ms=late, p_ended_ms=late) == "older than a day"
    db.set_clock(NOON + timedelta(hours=24))
    assert reason() == "older than a day"
    assert db.one("select count(*) from interlock.absence_rounds") == 0
    assert _status(db, execution) == "CLAIMED"


def test_absence_never_replaces_a_known_order(db: TestDatabase, service: Caller) -> None:
    """An order that was seen once exists, although its state could not be read and no one finds it now."""
    execution = claimed(db, service)
    record(service, execution, "placed", p_order=order(execution, "aWordFromTomorrow", "0"))
    db.advance(timedelta(seconds=70))

    answer = _absent(db, service, execution)

    assert (answer["outcome"], answer["reason"]) == ("refused", "its order is known")


def _absent(db: TestDatabase, caller: Caller, execution: dict[str, Any], **changed: object) -> dict[str, Any]:
    began = _first_moment(execution)
    parameters: dict[str, object] = {
        "p_execution_id": execution["id"],
        "p_trade_key_fingerprint": FINGERPRINT,
        "p_exchange_url": EXCHANGE,
        "p_run_started_at": db.now,
        "p_began_ms": began,
        "p_ended_ms": began + 100,
    }
    answer: dict[str, Any] = caller.call("record_absence", **(parameters | changed))
    return answer


def _first_moment(execution: dict[str, Any]) -> int:
    """When the first round may begin, on the exchange's clock, ms."""
    return int(execution["access_timestamp"]) + int(execution["access_window_ms"]) + 60_000


def _settle(
    caller: Caller,
    execution: dict[str, Any],
    status: str,
    evidence: dict[str, Any] | None = None,
    **changed: object,
) -> dict[str, Any]:
    parameters: dict[str, object] = {
        "p_execution_id": execution["id"],
        "p_status": status,
        "p_who": "Ada",
        "p_reason": "looked at the exchange",
        "p_evidence": evidence,
    }
    answer: dict[str, Any] = caller.call("settle_by_hand", **(parameters | changed))
    return answer


def _status(db: TestDatabase, execution: dict[str, Any]) -> str:
    status: str = db.one("select status from public.trade_executions where id = %s", execution["id"])
    return status


def _proposal_status(db: TestDatabase, execution: dict[str, Any]) -> str:
    status: str = db.one("select status from public.trade_proposals where id = %s", execution["proposal_id"])
    return status


def _next_check(db: TestDatabase, execution: dict[str, Any]) -> object:
    return db.one("select next_check_at from public.trade_executions where id = %s", execution["id"])


def _controls_state(db: TestDatabase) -> str:
    state: str = db.one("select trading_state from public.trading_controls")
    return state


def _evidence(db: TestDatabase) -> tuple[Any, ...]:
    return db.rows(
        """
        select
            (select jsonb_agg(history) from public.trade_history as history),
            (select count(*) from public.audit_events),
            (
                select jsonb_agg(to_jsonb(execution) - 'next_check_at')
                from public.trade_executions as execution
            )
        """
    )[0]
