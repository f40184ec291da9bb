"""What the model believes of the database is what the real one does: each call, in each state."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import product
from typing import Any
from uuid import UUID, uuid4

from tests.database.harness import FINGERPRINT, OPERATOR_ID, Caller, Refused, TestDatabase, execution_id
from tests.protocol import database as model
from tests.protocol.database import APART, DIAGRAM, FENCE, GONE, STATUS, TICK_MS, Database, Rules

RULES = Rules()
Call = tuple[Any, ...]
TICK: Call = ("tick",)


def test_every_call_in_every_state_does_what_the_model_says(db: TestDatabase) -> None:
    """In every state that claims, records, absences, comparisons and time can make of a proposal's rows."""
    real = Real(db)
    with db.admin.transaction(force_rollback=True):
        real.walk(Database())
    assert len(real.seen) > 30
    assert {state.execution.status for state in real.seen if state.execution} == set(DIAGRAM)


def test_a_status_moves_as_in_the_model(db: TestDatabase) -> None:
    """The state diagram of the trigger is the model's, but for PARTIALLY_FILLED, which moves as OPEN does."""
    source = db.one("select prosrc from pg_proc where proname = 'execution_moves_by_rule'")
    listed = {
        old: set(re.findall(r"'(\w+)'", new))
        for old, new in re.findall(r"when '(\w+)' then new\.status in \(([^)]*)\)", source)
    }
    partly = listed.pop("PARTIALLY_FILLED")
    assert partly == listed["OPEN"] - {"PARTIALLY_FILLED"}
    for old in ("CLAIMED", "UNKNOWN", "OPEN"):
        assert listed[old] - {"PARTIALLY_FILLED"} == DIAGRAM[old]
    for word, status in STATUS.items():
        assert db.one("select interlock.status_from_exchange(%s, %s)", word, int(word == "filled")) == status


@dataclass
class Real:
    """A proposal in a real database, led through the states of the model."""

    db: TestDatabase
    seen: set[Database] = field(default_factory=set)
    calls: int = 0

    def __post_init__(self) -> None:
        self.caller = Caller(self.db.admin)
        self.owner = self.db.owner()
        self.proposal = self.db.proposal(self.owner)
        self.id = execution_id(self.proposal)
        self.attempts = (uuid4(), uuid4(), uuid4())
        self.caller.call(
            "begin_cleanup",
            p_instance_id="whose markets are watched",
            p_mode="live",
            p_operator_id=OPERATOR_ID,
            p_trade_key_fingerprint=FINGERPRINT,
            p_limit=1,
        )

    def walk(self, state: Database) -> None:
        """From a state on: make each call, compare, and go on from where it leads for the first time."""
        self.seen.add(state)
        for call in calls(state):
            expected, after = carried_out(state, call)
            if call == TICK and after == state:
                continue
            with self.db.admin.transaction(force_rollback=True):
                answer = self._make(state, call)
                self.calls += 1
                assert (answer, self._stored()) == (expected, visible(after)), (state, call)
                if after not in self.seen:
                    self.walk(after)

    def _make(self, state: Database, call: Call) -> str:
        match call:
            case ("tick",):
                self.db.advance(timedelta(milliseconds=TICK_MS))
                return ""
            case ("claim", process, age):
                parameters = self.db.claim_parameters(self.owner, self.proposal)
                return self._asked(
                    "claim_execution",
                    parameters
                    | {
                        "p_attempt_id": self.attempts[process],
                        "p_access_timestamp": self.db.now_ms - age * TICK_MS,
                    },
                )
            case ("record", process, outcome, order, word):
                return self._asked(
                    "record_execution_result",
                    {
                        "p_execution_id": self.id,
                        "p_actor": "cleanup" if process == GONE else "execute",
                        "p_attempt_id": None if process == GONE else self.attempts[process],
                        "p_outcome": outcome,
                        "p_order": self._order(order, word) if word else None,
                        "p_response": None,
                        "p_error_code": None,
                    },
                )
            case ("absence", late, apart):
                return self._asked("record_absence", self._round(state, late, apart))
            case ("compare", *seen):
                orders = [self._order(number, word) for number, word in enumerate(seen) if word]
                self.caller.call(
                    "compare_orders",
                    p_market="BTC-EUR",
                    p_read_started_at=self.db.now,
                    p_read_from_ms=self.db.now_ms - 60_000,
                    p_read_to_ms=self.db.now_ms,
                    p_orders=orders,
                )
                return ""
        raise AssertionError(call)

    def _asked(self, rpc: str, parameters: dict[str, Any]) -> str:
        try:
            with self.db.admin.transaction():
                answer: str = self.caller.call(rpc, **parameters)["outcome"]
                # At the end of a transaction of its own, proposal and execution would have to agree.
                self.db.do("set constraints all immediate")
                self.db.do("set constraints all deferred")
        except Refused as refused:
            # The model forgets whose attempt it was once that is settled; either answer changes nothing.
            return "unchanged" if refused.sqlstate == "PT400" else refused.sqlstate
        return answer

    def _order(self, number: int, word: str) -> dict[str, Any]:
        filled = "0.0001" if word == "filled" else "0"
        return {
            "orderId": f"order-{number}",
            "operatorId": OPERATOR_ID,
            "clientOrderId": str(self.id),
            "market": "BTC-EUR",
            "side": "buy",
            "status": word,
            "filledAmount": filled,
            "filledAmountQuote": "5" if word == "filled" else "0",
            "feePaid": "0",
            "feeCurrency": "EUR",
            "fills": [],
            "updated": 1_700_000_000_000 + (word != "new"),
        }

    def _round(self, state: Database, late: bool, apart: bool) -> dict[str, Any]:
        now, now_ms = self.db.now, self.db.now_ms
        began_ms = now_ms
        if not late and (row := self.db.rows("select access_timestamp from public.trade_executions")):
            began_ms = min(now_ms, row[0][0] + (FENCE - 1) * TICK_MS)
        if late and not apart and state.execution and state.execution.round_age >= APART:
            # A run that began just too soon after the first round.
            ((ended_ms, recorded_at),) = self.db.rows(
                "select ended_ms, recorded_at from interlock.absence_rounds"
            )
            began_ms, now = ended_ms + TICK_MS - 1, recorded_at + timedelta(milliseconds=TICK_MS - 1)
        with_key = self.db.claim_parameters(self.owner, self.proposal)
        return {
            "p_execution_id": self.id,
            "p_trade_key_fingerprint": with_key["p_trade_key_fingerprint"],
            "p_exchange_url": with_key["p_exchange_url"],
            "p_run_started_at": now,
            "p_began_ms": began_ms,
            "p_ended_ms": now_ms,
        }

    def _stored(self) -> tuple[Any, ...]:
        rows = self.db.rows(
            """
            select execution.status, execution.exchange_order_id, execution.attempt_id,
                exists (select from interlock.absence_rounds)
            from public.trade_executions as execution
            where execution.id = %s
            """,
            self.id,
        )
        told = self.db.rows(
            """
            select distinct
                coalesce(detail ->> 'order_id', detail #>> '{found,orderId}', detail #>> '{order,orderId}')
            from public.audit_events
            where event in ('INTRUDER', 'SECOND_ORDER', 'CONTRADICTED')
            """
        )
        halted = self.db.one("select trading_state from public.trading_controls") == "HALTED"
        execution = None
        if rows:
            ((status, order, attempt, has_round),) = rows
            is_open = status in model.OPEN_QUESTIONS
            execution = (
                status,
                -1 if order is None else int(order.removeprefix("order-")),
                self.attempts.index(attempt) if is_open and isinstance(attempt, UUID) else GONE,
                has_round and is_open,
            )
        return execution, halted, {int(name.removeprefix("order-")) for (name,) in told}


def visible(state: Database) -> tuple[Any, ...]:
    """A state of the model as `_stored` reads it."""
    row = state.execution
    execution = None if row is None else (row.status, row.order, row.attempt, row.round_age >= 0)
    return execution, state.halted, set(state.told)


def calls(state: Database) -> Iterator[Call]:
    """Every call that a process or a run can make in a state."""
    # Which of the two claims first makes no difference.
    for process, age in product((0,) if state.execution is None else (0, 1), (0, 1)):
        yield "claim", process, age
    for process, outcome in product((0, 1), ("unknown", "rejected", "not_placed")):
        yield "record", process, outcome, -1, ""
    for process, order, word in product((0, GONE), (0, 1), STATUS):
        yield "record", process, "placed", order, word
    row = state.execution
    is_late = row is None or row.age >= FENCE
    is_apart = row is not None and row.round_age >= APART
    for late, apart in product({False, is_late}, {False, is_apart}):
        yield "absence", late, apart
    for seen in product(("", "new", "filled"), ("", "filled")):
        yield "compare", *seen
    yield TICK


def carried_out(state: Database, call: Call) -> tuple[str, Database]:
    """What the model makes of a call."""
    match call:
        case ("claim", process, age):
            return model.claim(state, process, age, RULES)
        case ("record", process, outcome, order, word):
            return model.record(state, process, outcome, order, word, RULES)
        case ("absence", late, apart):
            return model.record_absence(state, late, apart, RULES)
        case ("compare", *seen):
            return "", model.compare(state, tuple(seen), RULES)
    return "", state.aged()
