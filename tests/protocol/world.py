"""Two processes that execute, a cleanup, the wire, the exchange, the database, and every step they take."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

from tests.protocol import database as db
from tests.protocol.database import BEYOND, FENCE, GONE, WINDOW, Database, Rules

LAG = BEYOND
"""Steps after which the exchange shows an order that it has accepted."""
NAMES = ("A", "B")
TIME_PASSES = f"{db.TICK_MS // 1000} seconds pass."


class Exchange(NamedTuple):
    """What this exchange, and what happens around it, may do; each line can be taken to excess."""

    says: str
    restores: bool = False
    """The database may be restored once from a copy taken at any time."""
    blind: bool = False
    """For once, reads may show too little: for less time than two rounds are apart."""
    surprises: bool = False
    """Reads show an order when it pleases, and a request may be carried out twice."""
    restore_takes: int = WINDOW + LAG
    longest_spell: int = 1


class Process(NamedTuple):
    """One process of execute, and where in the protocol it stands."""

    at: str = "idle"
    age: int = 0
    """Steps since its access timestamp, up to the first that the exchange refuses."""
    outcome: str = ""
    order: int = -1
    word: str = ""


class Run(NamedTuple):
    """One run of cleanup, and where it stands."""

    at: str = "idle"
    late: bool = False
    """Did it begin beyond the fence?"""
    apart: bool = False
    """Did it begin long enough after a first round?"""
    order: int = -1
    word: str = ""
    seen: tuple[str, ...] = ()


class Request(NamedTuple):
    """An order on its way to the exchange, with the age of its timestamp."""

    age: int
    sender: int
    repeats: bool = False


class Order(NamedTuple):
    """An order that the exchange has. `age` counts steps since it was accepted, up to `LAG`."""

    age: int
    word: str


IDLE, RESTING = Process(), Run()


class World(NamedTuple):
    """Everything, at one moment."""

    processes: tuple[Process, Process] = (IDLE, IDLE)
    cleanup: Run = RESTING
    wire: tuple[Request, ...] = ()
    orders: tuple[Order, ...] = ()
    database: Database = Database()
    copy: Database | None = None
    restored: bool = False
    spell: int = -1
    """Steps for which reads are blind from now on; -1: that is still to come, 0: it is over."""
    sent: int = 0
    """Requests that ever left, where the exchange may make more orders of one; two are as bad as more."""


Step = tuple[str, World]


def steps(world: World, exchange: Exchange, rules: Rules) -> Iterator[Step]:
    """Everything that can happen next, each as a sentence and the world after it."""
    for number, process in enumerate(world.processes):
        yield from _execute(world, number, process, exchange, rules)
    yield from _deliver(world, exchange)
    yield from _clean_up(world, world.cleanup, exchange, rules)
    yield from _elsewhere(world, exchange)
    later = _aged(world)
    if later != world:
        yield TIME_PASSES, later


# Execute


def _execute(world: World, number: int, process: Process, exchange: Exchange, rules: Rules) -> Iterator[Step]:
    name = f"Process {NAMES[number]}"

    def then(next_: Process, **changed: object) -> World:
        both = list(world.processes)
        both[number] = next_
        made: World = world._replace(processes=(both[0], both[1]), **changed)  # type: ignore[arg-type]  # fields by name
        return made if next_.at != "idle" else _gone(made, number)

    if process.at == "idle":
        for found in _look_up(world, exchange):
            if found is None or not rules.looks_first:
                finds = " and finds no order of this proposal" if rules.looks_first else ""
                yield (
                    f"The owner approves; process {NAMES[number]} reads the exchange's clock{finds}.",
                    then(Process("ready")),
                )
        return
    yield f"{name} crashes.", then(IDLE)
    if process.at == "ready":
        said, database = db.claim(world.database, number, process.age, rules)
        if world.database.execution is None:
            # Whatever run is under way began before this timestamp's fence.
            world = world._replace(cleanup=world.cleanup._replace(late=False, apart=False))
        if said == "claimed":
            yield f"{name} claims; the answer to its claim is lost.", then(process, database=database)
            assert database.execution is not None
            stored = min(database.execution.age, WINDOW + 1)
            yield (
                f"{name} claims and is answered: claimed.",
                then(Process("claimed", stored), database=database),
            )
        else:
            yield f"{name} claims and is answered: {said}.", then(IDLE)
    elif process.at == "claimed":
        yield (
            f"{name} finds too little of its window left and sends nothing.",
            then(Process("knows", outcome="not_placed")),
        )
        signed = "" if rules.stored_timestamp else ", with a fresh timestamp instead of the stored one"
        request = Request(process.age if rules.stored_timestamp else 0, number)
        sent = min(world.sent + 1, 2) if exchange.surprises else 0
        wire = tuple(sorted((*world.wire, request)))
        yield f"{name} sends its order{signed}.", then(Process("waiting"), wire=wire, sent=sent)
    elif process.at == "waiting":
        deaf = _unheard(world.wire, number)
        yield f"{name} hears nothing more of its order.", then(Process("knows", outcome="unknown"), wire=deaf)
    elif process.at == "knows":
        if process.outcome == "unknown":
            for found in _look_up(world, exchange):
                if found is not None:
                    yield (
                        f"{name} looks its order up and finds it ({found[1]}).",
                        then(Process("knows", 0, "placed", *found)),
                    )
            row = world.database.execution
            again = not rules.sends_once and len(world.wire) + len(world.orders) < 2
            if again and row is not None and row.age <= WINDOW:
                yield f"{name} tries again.", then(Process("claimed", row.age))
        said, database = db.record(
            world.database, number, process.outcome, process.order, process.word, rules
        )
        outcome = f"{process.outcome}{f' ({process.word})' if process.word else ''}"
        yield f"{name} records: {outcome}; the database answers: {said}.", then(IDLE, database=database)


def _gone(world: World, number: int) -> World:
    """A process is through with its attempt, or crashed: its attempt is nobody's, nobody hears its answer."""
    return world._replace(
        wire=_unheard(world.wire, number),
        database=world.database.forgets(number),
        copy=None if world.copy is None else world.copy.forgets(number),
    )


def _unheard(wire: tuple[Request, ...], number: int) -> tuple[Request, ...]:
    """Nobody hears the answers to this process's requests any more."""
    return tuple(
        sorted(request._replace(sender=GONE) if request.sender == number else request for request in wire)
    )


# The wire and the exchange


def _deliver(world: World, exchange: Exchange) -> Iterator[Step]:
    for number, request in enumerate(world.wire):
        rest = world.wire[:number] + world.wire[number + 1 :]
        left = world._replace(wire=rest)
        whose = "An order" if request.sender == GONE else f"The order of process {NAMES[request.sender]}"
        if not request.repeats:
            yield f"{whose} is lost on its way.", left
        if request.age > WINDOW:
            yield f"{whose} arrives too late: the exchange refuses it.", _answered(left, request, "rejected")
            continue
        if not request.repeats:
            yield (
                f"The exchange refuses the order of {_sender(request)}.",
                _answered(left, request, "rejected"),
            )
        placed = left._replace(orders=(*world.orders, Order(LAG if exchange.surprises else 0, "new")))
        if exchange.surprises and not request.repeats:
            again = placed._replace(wire=tuple(sorted((*rest, request._replace(sender=GONE, repeats=True)))))
            yield f"{whose} arrives, is accepted, and is on its way a second time.", again
        yield f"{whose} arrives and is accepted; nobody hears the answer.", placed
        if request.sender != GONE:
            yield (
                f"{whose} arrives and is accepted; the answer reaches it.",
                _answered(placed, request, "placed", len(placed.orders) - 1, "new"),
            )
    for number, order in enumerate(world.orders):
        if order.word == "new":
            for word in ("filled", "canceled"):
                orders = list(world.orders)
                orders[number] = order._replace(word=word)
                yield f"{_order(number)} is {word}.", world._replace(orders=tuple(orders))


def _sender(request: Request) -> str:
    return "a process that is gone" if request.sender == GONE else f"process {NAMES[request.sender]}"


def _answered(world: World, request: Request, outcome: str, order: int = -1, word: str = "") -> World:
    if request.sender == GONE or world.processes[request.sender].at != "waiting":
        return world
    both = list(world.processes)
    both[request.sender] = Process("knows", 0, outcome, order, word)
    return world._replace(processes=(both[0], both[1]))


def _order(number: int) -> str:
    return ("The order", "The second order")[min(number, 1)]


def _shows(world: World, exchange: Exchange) -> Iterator[tuple[str, ...]]:
    """Each thing that a complete read may show now: the word for each order, '' where it is not shown."""
    for shown in product(*(_words(order, world, exchange) for order in world.orders)):
        yield tuple(shown)


def _words(order: Order, world: World, exchange: Exchange) -> tuple[str, ...]:
    settled = order.age >= LAG and world.spell < 1 and not exchange.surprises
    if settled:
        return (order.word,)
    return ("", "new") if order.word == "new" else ("", "new", order.word)


def _look_up(world: World, exchange: Exchange) -> Iterator[tuple[int, str] | None]:
    """Each answer that a look-up of the proposal's order may get; of two orders either may be shown."""
    found = {
        (number, word)
        for number, order in enumerate(world.orders)
        for word in _words(order, world, exchange)
        if word
    }
    yield from sorted(found)
    if all("" in _words(order, world, exchange) for order in world.orders):
        yield None


# Cleanup


def _clean_up(world: World, run: Run, exchange: Exchange, rules: Rules) -> Iterator[Step]:
    def then(next_: Run, **changed: object) -> World:
        return world._replace(cleanup=next_, **changed)  # type: ignore[arg-type]  # fields by name

    row = world.database.execution
    if run.at == "idle":
        if row is not None and row.status in ("CLAIMED", "UNKNOWN", "OPEN"):
            late = row.age >= (FENCE if rules.waits_beyond_the_window else WINDOW)
            yield "Cleanup begins a run.", then(Run("begun", late, row.round_age >= db.APART))
        if rules.compares and world.orders:
            for seen in _shows(world, exchange):
                yield (
                    f"Cleanup reads the account's orders: {_told(seen)}.",
                    then(Run("read", seen=seen)),
                )
        return
    yield "Cleanup crashes.", then(RESTING)
    if run.at == "begun":
        for found in _look_up(world, exchange):
            if found is None:
                yield (
                    "Cleanup looks the order up and finds nothing.",
                    then(run._replace(at="looked") if run.late else RESTING),
                )
            else:
                yield (
                    f"Cleanup looks the order up and finds it ({found[1]}).",
                    then(Run("found", order=found[0], word=found[1])),
                )
    elif run.at == "looked":
        for seen in _shows(world, exchange):
            first = next((number for number, word in enumerate(seen) if word), None)
            if first is None:
                yield "The lists of the account do not have it either.", then(run._replace(at="absent"))
            else:
                yield "The lists of the account have it.", then(Run("found", order=first, word=seen[first]))
    elif run.at == "found":
        said, database = db.record(world.database, GONE, "placed", run.order, run.word, rules)
        yield (
            f"Cleanup records what it found; the database answers: {said}.",
            then(RESTING, database=database),
        )
    elif run.at == "absent":
        said, database = db.record_absence(world.database, run.late, run.apart, rules)
        yield (
            f"Cleanup records that it found nothing; the database answers: {said}.",
            then(RESTING, database=database),
        )
    elif run.at == "read":
        database = db.compare(world.database, run.seen, rules)
        changed = (
            "trading is halted." if database.halted and not world.database.halted else "nothing is halted."
        )
        yield f"Cleanup compares them with the approvals: {changed}", then(RESTING, database=database)


def _told(seen: tuple[str, ...]) -> str:
    return ", ".join(word or "one is not shown" for word in seen)


# What else happens


def _elsewhere(world: World, exchange: Exchange) -> Iterator[Step]:
    if exchange.blind and world.spell < 0:
        yield (
            "For a while reads show less than the exchange has.",
            world._replace(spell=exchange.longest_spell),
        )
    if not exchange.restores:
        return
    if world.copy is None and not world.restored:
        yield "A copy of the database is taken.", world._replace(copy=world.database)
    if world.copy is not None:
        back = world
        for _ in range(exchange.restore_takes):
            back = _aged(back)
        assert back.copy is not None
        yield (
            "The database is lost, and the copy is restored.",
            back._replace(database=back.copy, copy=None, restored=True),
        )
    if world.database.halted:
        yield (
            "The operator looks at the halt and lifts it.",
            world._replace(database=world.database._replace(halted=False)),
        )


def _aged(world: World) -> World:
    """A step of time later, for everybody."""
    return world._replace(
        processes=tuple(_older(process) for process in world.processes),  # type: ignore[arg-type]  # two stay two
        wire=tuple(sorted(request._replace(age=min(request.age + 1, WINDOW + 1)) for request in world.wire)),
        orders=tuple(order._replace(age=min(order.age + 1, LAG)) for order in world.orders),
        database=world.database.aged(),
        copy=None if world.copy is None else world.copy.aged(),
        spell=max(world.spell - 1, 0) if world.spell > 0 else world.spell,
    )


def _older(process: Process) -> Process:
    """A timestamp matters until its request has left."""
    most = {"ready": 1, "claimed": WINDOW + 1}.get(process.at, 0)
    if process.age < most:
        return process._replace(age=process.age + 1)
    return process
