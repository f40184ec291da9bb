"""What goes wrong between the steps of a process, and on the way to its servers and back."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID

import httpx

from functions.scan_tick.answer import Completion, Tokens
from functions.scan_tick.model import NotAnswered, NotAsked
from functions.scan_tick.question import Question
from local.exchange.app import create_app
from local.exchange.endpoints import Call, place_order
from local.exchange.faults import ExchangeFaultRequest
from local.exchange.keys import TRADE_KEY
from local.exchange.refusals import Refusal
from shared.errors import DatabaseRefused, DatabaseUnavailable
from tests.cleanup.short_way import ShortWay
from tests.crashes.outcomes import OUTCOMES
from tests.database.harness import Caller
from tests.soak.clocks import NS
from tests.soak.oracle import Oracle
from tests.soak.place import Place
from tests.soak.ways import Crash, Process, served

LONGEST_LAG_MS = 30_000
"""How far look-ups and lists may be behind: what two rounds of absence allow for."""

SET_BACK = "A read cannot have started in the future"
"""What a run is told whose database was set back meanwhile; the next one compares."""

STALLS_S = (0.5, 2.0, 4.5, 12.0, 75.0, 200.0, 1200.0)
"""Shorter and longer than half a window, a window, a wait for an answer, a lease, a proposal's life."""

_ORDER, _BOOK = "POST /order", "GET /ticker/book"
_LISTS = ("GET /order", "GET /orders", "GET /ordersOpen", "GET /trades")
_PATIENCE_S = 8.0
_LAGS_PER_FAULT = 5
_JUDGED_AFTER_S = 75
"""The longest access window, and the minute that absence waits beyond it, and some."""
_A_MOMENT_S = 0.001
_UNREACHED = "unreached"
_REJECTED = "rejected-with-fills"
"""When it fills nothing after all, the exchange says rejected first and canceled later."""

_READ_FAULTS = (
    *("error_502", "error_503", "drop_answer", "drop_request", "cut", "not_json", "storm"),
    _UNREACHED,
)
_IN_TIME = tuple(outcome for outcome in OUTCOMES if outcome.in_time and "lag" not in outcome.kinds)
# A network that repeats an order stops trading, so it is rarer than the others.
_SHARES = [0.3 if outcome.orders > 1 else 1.0 for outcome in _IN_TIME]


@dataclass(frozen=True)
class Weather:
    """How often things go wrong: shares of steps, of orders, of reads, and of calls of the database."""

    steps: float = 0.0
    orders: float = 0.0
    reads: float = 0.0
    calls: float = 0.0


CALM = Weather()


@dataclass
class Between:
    """Stands between every process and its servers, and lets the oracle see what passes."""

    place: Place
    oracle: Oracle
    service: Caller
    weather: Weather = CALM
    meanwhile: Callable[[Process], None] | None = None
    """What others do within a step that is interrupted."""
    at_once: int = 1
    """So many processes do the same side by side: what each waits for, they wait for together."""
    _inner: ShortWay = field(init=False)
    _coming: dict[UUID, tuple[int, str]] = field(default_factory=dict)
    """Orders that come up just before somebody looks: since when, and their bytes."""
    _lags_ms: int = 0
    _lags_until_ns: int = 0

    def __post_init__(self) -> None:
        self._app = create_app(self.place.exchange, self.place.faults)
        self._inner = ShortWay(self.place.db, self.place.clocks, self.service)

    # Steps

    def _step(self, process: Process, call: str, when: str) -> None:
        """Between two steps: the process may die, stand still, or others may act meanwhile."""
        place = self.place
        if place.random.random() >= self.weather.steps:
            return
        alone = self.meanwhile is None or process.depth > 1
        kind = place.random.choice(("die", "stall") if alone else ("die", "stall", "meanwhile", "meanwhile"))
        if kind == "die":
            place.story.tell(process.name, f"DIES {when} {call}")
            self._die(process)
        if kind == "stall":
            stall_s = place.random.choice(STALLS_S)
            place.story.tell(process.name, f"STANDS STILL {when} {call} for {stall_s} s")
            place.story.tally["stalls"] += 1
            place.clocks.advance(stall_s)
        elif kind == "meanwhile" and self.meanwhile is not None:
            place.story.tell(process.name, f"waits {when} {call}; meanwhile:")
            place.story.tally["steps that others act in"] += 1
            self.meanwhile(process)
            place.story.tell(process.name, "goes on")

    def _die(self, process: Process) -> None:
        self.place.story.tally["crashes"] += 1
        raise Crash(process.name)

    # The exchange

    def exchange_call(self, process: Process, name: str, request: httpx.Request) -> httpx.Response:
        """Carry a request to the exchange, through whatever weather there is."""
        self.place.clocks.advance(self.place.random.uniform(0.004, 0.05) / self.at_once)
        self._step(process, name, "before")
        response = self._order(process, request) if name == _ORDER else self._read(process, name, request)
        if name == _BOOK and response.status_code == httpx.codes.OK:
            process.book = _best(response)
        self._step(process, name, "after")
        return response

    def _order(self, process: Process, request: httpx.Request) -> httpx.Response:
        place = self.place
        kinds = ("outcome", "late", "under way", "comes up", _UNREACHED)
        rough = place.random.random() < self.weather.orders
        kind = place.random.choices(kinds, (58, 12, 12, 16, 2))[0] if rough else "plain"
        place.story.tally["orders that meet a fault"] += rough
        if kind == _UNREACHED:
            self._nobody_is_reached(process, _ORDER)
        execution = self.oracle.sent(process, request.content)
        match kind:
            case "outcome":
                return self._outcome(process, request, execution)
            case "comes up":
                return self._comes_up_later(process, request, execution)
            case "late" | "under way":
                return self._arrives_later(process, request, gives_up=kind == "late")
            case _:
                return self._serve(request)

    def _outcome(self, process: Process, request: httpx.Request, execution: UUID) -> httpx.Response:
        place = self.place
        outcome = place.random.choices(_IN_TIME, _SHARES)[0]
        place.story.tell(process.name, f"its order meets {outcome.name}")
        if outcome.orders > 1:
            place.journal.repeated.add(execution)
        if outcome.name == _REJECTED:
            place.journal.surprising.add(execution)
        for fault in outcome.faults(place.random.randrange(100)):
            place.faults.add(ExchangeFaultRequest.model_validate(dict(fault)))
        return self._serve(request)

    def _arrives_later(self, process: Process, request: httpx.Request, *, gives_up: bool) -> httpx.Response:
        """It arrives when nobody waits for it any more: execute has given up, or its process has died."""
        place = self.place
        delay_s = place.random.uniform(_PATIENCE_S, 90) if gives_up else place.random.uniform(0, 20)
        place.story.tell(process.name, f"its order arrives in {delay_s:.1f} s")
        place.clocks.later(delay_s, lambda: self._arrives(request))
        if not gives_up:
            place.story.tell(process.name, "DIES while it is under way")
            self._die(process)
        place.clocks.advance(_PATIENCE_S)
        raise httpx.ReadTimeout("no answer in time")

    def _arrives(self, request: httpx.Request) -> None:
        response = self._serve(request)
        self.place.story.tell("exchange", f"answers what was under way: {response.status_code}")

    def _comes_up_later(self, process: Process, request: httpx.Request, execution: UUID) -> httpx.Response:
        """The exchange says that it ran out of time, and makes the order all the same.

        At any time, perhaps after its absence was concluded; or at the worst: just before somebody looks.
        """
        place = self.place
        delay_s = place.random.uniform(5, 600)
        content = request.content.decode()
        place.story.tell(process.name, f"its order is answered 109 and comes up in {delay_s:.0f} s")
        place.story.tally["orders that come up late"] += 1
        place.journal.surprising.add(execution)
        if place.random.random() < 0.5:
            self._coming[execution] = place.clocks.now_ns(), content
            place.clocks.later(delay_s, self._come_up_now)
        else:
            place.clocks.later(delay_s, lambda: self._comes_up(content))
        return httpx.Response(503, json={"errorCode": 109, "error": "not processed in time"})

    def _come_up_now(self) -> None:
        """What may be judged absent by now comes up."""
        ripe_ns = self.place.clocks.now_ns() - _JUDGED_AFTER_S * NS
        for execution, (sent_ns, body) in list(self._coming.items()):
            if sent_ns < ripe_ns:
                del self._coming[execution]
                self._comes_up(body)

    def _comes_up(self, body: str) -> None:
        exchange = self.place.exchange
        key, now = exchange.keys[TRADE_KEY], exchange.clock.now()
        try:
            place_order(exchange, Call({}, {}, json.loads(body), key, now, request={"body": body}))
        except Refusal as refusal:
            self.place.story.tell("exchange", f"refuses it now: {refusal.body}")
        self.oracle.look_at_the_record()

    def _read(self, process: Process, name: str, request: httpx.Request) -> httpx.Response:
        place = self.place
        if place.random.random() < self.weather.reads:
            fault = place.random.choice(_READ_FAULTS)
            place.story.tally["reads that meet a fault"] += 1
            if fault == _UNREACHED:
                self._nobody_is_reached(process, name)
            place.story.tell(process.name, f"{name} meets {fault}")
            place.faults.add(ExchangeFaultRequest(name=fault, on=name))
        elif name in _LISTS and (ms := self._lag_ms()):
            place.story.tally["reads that lag"] += 1
            place.faults.add(ExchangeFaultRequest(name="lag", on=name, ms=ms))
        return self._serve(request)

    def _lag_ms(self) -> int:
        """How far all lists are behind: for a while by as much, then by something else or not at all."""
        random, clocks = self.place.random, self.place.clocks
        if clocks.now_ns() >= self._lags_until_ns:
            lags = random.random() < _LAGS_PER_FAULT * self.weather.reads
            self._lags_ms = random.randint(0, LONGEST_LAG_MS) if lags else 0
            self._lags_until_ns = clocks.now_ns() + random.randint(10, 200) * NS
        return self._lags_ms if self.weather.reads else 0

    def _nobody_is_reached(self, process: Process, name: str) -> None:
        self.place.story.tell(process.name, f"{name} reaches nobody")
        raise httpx.ConnectError("nobody is there")

    def _serve(self, request: httpx.Request) -> httpx.Response:
        try:
            return served(self._app, request)
        finally:
            self.place.faults.clear()
            self.oracle.look_at_the_record()

    # The database

    def database_call(self, process: Process, rpc: str, params: dict[str, object]) -> Any:
        """Carry a call to the database; of those that get no answer, half were carried out."""
        place = self.place
        place.clocks.advance(place.random.uniform(0.002, 0.02) / self.at_once)
        if rpc == "begin_cleanup":
            self._come_up_now()
            place.clocks.advance(_A_MOMENT_S)
            process.began_ns = place.clocks.now_ns()
        self._step(process, rpc, "before")
        answered = place.random.random() >= self.weather.calls
        arrives = answered or place.random.random() < 0.5
        answer = self._carried_out(process, rpc, params) if arrives else None
        self._step(process, rpc, "after")
        if not answered:
            place.story.tally["database calls without an answer"] += 1
            place.story.tell(process.name, f"{rpc} gets no answer{'' if arrives else ', and never arrived'}")
            place.clocks.advance(place.random.choice((0.1, 8.0)))
            raise DatabaseUnavailable(f"{rpc} got no answer.")
        return answer

    def _carried_out(self, process: Process, rpc: str, params: dict[str, object]) -> Any:
        place = self.place
        try:
            answer = self._inner.call(rpc, **params)
        except DatabaseRefused as refused:
            place.story.tell(process.name, f"{rpc} is refused: {refused}")
            if refused.code not in ("PT403", "PT404") and SET_BACK not in str(refused):
                place.journal.violated(f"{rpc} of {process.name} was refused: {refused}")
            raise
        except DatabaseUnavailable as broken:
            place.journal.violated(f"{rpc} of {process.name} broke: {broken}")
            raise
        outcome = answer.get("outcome") if isinstance(answer, dict) else None
        place.story.tell(process.name, f"{rpc}{f': {outcome}' if outcome else ''}")
        self.oracle.saw(process, rpc, params, answer)
        return answer

    # The model

    def model_call(self, process: Process, question: Question) -> Completion | NotAsked | NotAnswered:
        """The model says anything, sometimes nothing, sometimes late."""
        random = self.place.random
        reservation = self.oracle.model_asked(process)
        self._step(process, "the model", "before")
        self.place.clocks.advance(random.choice((1.0, 5.0, 40.0)))
        kind = random.choices(("trade", "hold", "nonsense", "error", "silence"), (50, 15, 10, 12, 13))[0]
        self.place.story.tell(process.name, f"the model: {kind}")
        self._step(process, "the model", "after")
        match kind:
            case "error":
                reservation.counts = False
                return NotAsked("MODEL_ANSWERED_503")
            case "silence":
                return NotAnswered("MODEL_TIMED_OUT")
            case "nonsense":
                return Completion("Buy everything now!", _TOKENS)
        trade = kind == "trade"
        decision = {
            "action": random.choice(("buy", "sell")) if trade else "hold",
            "market": random.choice(question.markets) if trade else None,
            "amount_eur": random.choice((8, 25, 60, 400)) if trade else None,
            "confidence": random.choice((50, 75, 90)),
            "rationale": "The price is far below its average and has turned on the usual volume.",
        }
        return Completion(json.dumps(decision), _TOKENS)


_TOKENS = Tokens(900, 60)


def _best(response: httpx.Response) -> tuple[Decimal, Decimal] | None:
    """Bid and ask of a book's answer, None when it cannot be read."""
    try:
        row = response.json()
    except ValueError:
        return None
    return Decimal(row["bid"]), Decimal(row["ask"])
