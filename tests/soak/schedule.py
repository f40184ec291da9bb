"""What happens in a seed: who acts when, in which weather, and how it all comes to rest."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from random import Random
from types import ModuleType
from typing import Any
from uuid import UUID

from functions.execute import protocol
from local import stack
from local.exchange.clock import Clock
from local.exchange.exchange import create_exchange
from local.stack import OPERATOR_ID, Stack
from tests.cleanup.short_way import TRADE_KEYS
from tests.database.harness import TestDatabase, opened
from tests.soak.clocks import NS, Clocks
from tests.soak.functions import Functions
from tests.soak.journal import Journal
from tests.soak.log import errors_seen
from tests.soak.oracle import Oracle
from tests.soak.people import MARKETS, People
from tests.soak.place import Place
from tests.soak.story import Story
from tests.soak.ways import Process
from tests.soak.weather import CALM, Between, Weather

CLAIMS = (2, 4, 10)
"""Approvals that reach a claim in one seed, by chance; the few whose trading stays closed have fewer."""

WEATHERS = (
    Weather(steps=0.005, orders=0.15, reads=0.01, calls=0.005),
    Weather(steps=0.02, orders=0.35, reads=0.04, calls=0.02),
    Weather(steps=0.05, orders=0.6, reads=0.1, calls=0.05),
)

_MOST_ACTS = 150
_MOST_RUNS = 80
_MINUTE = 60.0
_PRICE_PATHS = 8
_OWNERS_OWN = 99
"""An operator id that is not ours."""

_BALANCES = {"EUR": Decimal(1_000_000), "BTC": Decimal(20), "ETH": Decimal(200), "SOL": Decimal(5000)}


@dataclass(frozen=True)
class Played:
    """A seed that was played to its end."""

    seed: int
    journal: Journal
    story: Story

    @property
    def violations(self) -> list[str]:
        """What must never have happened."""
        return self.journal.violations


def play(server: Stack, seed: int, *, statements: str | None = None, code: ModuleType = protocol) -> Played:
    """Play one seed in a deployment of its own; what was wrong is in the answer.

    `statements` and `code` take mechanisms out: of the database, and of execute's protocol.
    """
    url = stack.fresh_database(server)
    try:
        with opened(url) as db:
            if statements is not None:
                db.script(statements)
            place = place_of(db, seed)
            with errors_seen(place.journal):
                Schedule.of(place, code).play()
            return Played(seed, place.journal, place.story)
    finally:
        stack.drop_database(server, url)


def place_of(db: TestDatabase, seed: int) -> Place:
    """At some time of the second half of a day, so that some seeds end on the next one."""
    random = Random(seed)  # noqa: S311 - chance on purpose, not a secret
    clocks = Clocks(int(db.now.timestamp()) * NS + random.randrange(12 * 3600 * NS))
    exchange = create_exchange(
        clock=Clock(clocks.now_ns), candles=None, seed=seed % _PRICE_PATHS, balances=_BALANCES
    )
    db.set_clock(clocks.database_time())
    db.do(
        "update public.trading_controls set trade_key_fingerprint = %s where singleton",
        TRADE_KEYS.fingerprint,
    )
    return Place(db, exchange, clocks, random)


@dataclass
class Schedule:
    """The acts of one seed, drawn from its chance."""

    place: Place
    oracle: Oracle
    between: Between
    functions: Functions
    people: People
    owners: list[UUID] = field(default_factory=list)

    @classmethod
    def of(cls, place: Place, code: ModuleType) -> Schedule:
        """Everything that acts in this place."""
        oracle, service = Oracle(place), place.db.as_service()
        between = Between(place, oracle, service)
        return cls(place, oracle, between, Functions(place, between, code), People(place, oracle, service))

    def play(self) -> None:
        """Open trading, let things happen, let them come to rest, judge."""
        claims = self.place.random.choice(CLAIMS)
        self._begin()
        for _ in range(_MOST_ACTS):
            if len(self.place.journal.claims) >= claims:
                break
            self._act()
        self._come_to_rest()
        self.oracle.judge_the_end()

    def _begin(self) -> None:
        random, clocks, exchange = self.place.random, self.place.clocks, self.place.exchange
        off_ms = random.randint(-60_000, 60_000)
        clocks.database_off_ms = off_ms
        clocks.function_off_ms = off_ms + random.randint(-25_000, 1000)
        exchange.clock.set_offset(off_ms + random.randint(-1200, 1200))
        exchange.settings.settle_after_ms = random.choice((0, 0, 5_000, 300_000))
        exchange.settings.words = random.choice(("new", "old"))
        exchange.settings.rounds = random.choice(("order", "fill"))
        self.people.set_controls(**self._ceilings())
        self.owners = [self.people.owner(self._policy()) for _ in range(random.randint(2, 4))]
        self.functions.clean_up()
        self.between.meanwhile = self._meanwhile
        self.between.weather = random.choice(WEATHERS)

    def _ceilings(self) -> dict[str, object]:
        random = self.place.random
        return {
            "max_order_eur": random.choice(("40", "100", "1000")),
            "max_daily_value_eur": random.choice(("150", "400", "5000", "5000", "5000")),
            "max_daily_gpt_calls": random.choice((2, 6, 50)),
        }

    def _policy(self) -> dict[str, Any]:
        random = self.place.random
        return {
            "allowlist": random.sample(MARKETS, random.randint(1, 3)),
            "min_confidence": random.choice((0, 70, 75)),
            "limits": {
                "order": {
                    "min_eur": random.choice(("6", "8")),
                    "max_eur": random.choice(("30", "60", "250")),
                },
                "daily": {
                    "trades": random.choice((2, 5, 50, 50, 50)),
                    "value_eur": random.choice(("60", "250", "5000", "5000", "5000")),
                },
                "gpt": {"daily": random.choice((1, 3, 20)), "hourly": random.choice((1, 2, 4))},
            },
            "cooldown_minutes": random.choice((0, 0, 0, 1, 20)),
            "anti_flip_minutes": random.choice((0, 0, 0, 2, 30)),
            "max_price_move_percent": random.choice(("0.5", "1.0", "3.0")),
            "max_spread_percent": random.choice(("0.1", "0.5", "5")),
            "proposal_ttl_minutes": random.choice((1, 15, 60)),
            "scan_interval_minutes": 60,
        }

    # Acts

    def _act(self) -> None:
        """One act of somebody, and some time until the next."""
        random = self.place.random
        self._keep_open()
        kinds = ("new", "old", "cleanup", "tick", "wait", "people")
        match random.choices(kinds, (60, 8, 8, 4, 9, 11))[0]:
            case "new":
                self._approve_new()
            case "old":
                self._approve_old()
            case "cleanup":
                self.functions.clean_up()
            case "tick":
                self.functions.tick()
            case "wait":
                self.place.clocks.advance(random.choice((5, 30, 90, 300, 1200)))
            case _:
                self._people()
        self.place.clocks.advance(random.uniform(0.1, 12))

    def _keep_open(self) -> None:
        """Mostly, but not always, somebody does something about what the last approval was refused for."""
        refused, self.functions.refused = self.functions.refused, None
        if refused is None or self.place.random.random() < 0.3:
            return
        owner, codes = refused
        if "EXHAUSTED" in codes:
            self._make_room(owner)
        elif "HALTED" in codes or "REDUCE_ONLY" in codes or "MODE_MISMATCH" in codes:
            self.people.look()
        elif "STALE" in codes or "UNSETTLED" in codes:
            self.place.clocks.advance(self.place.random.choice((20, 60, 90)))
            self.functions.clean_up()

    def _make_room(self, owner: UUID) -> None:
        """A limit of the day is used up: it is raised, or the day ends."""
        random = self.place.random
        match random.choice(("owner", "operator", "day")):
            case "owner":
                self.people.set_policy(owner, self._policy())
            case "operator":
                self.people.set_controls(max_daily_value_eur="5000")
            case _:
                now = self.place.clocks.database_time()
                tomorrow = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
                self.place.clocks.advance((tomorrow - now).total_seconds() + random.uniform(-30, 30))

    def _approve_new(self) -> None:
        random = self.place.random
        owner = random.choice(self.owners)
        proposal = self._proposal(owner)
        if random.random() < 0.1:
            self.place.clocks.advance(random.choice((20, 61, 300)))
        self._approve(owner, proposal)

    def _proposal(self, owner: UUID) -> UUID:
        """Mostly one that the policy allows; sometimes one that is just beside it."""
        random = self.place.random
        policy = self.place.journal.policies[owner]
        market, side = random.choice(policy["allowlist"]), random.choice(("buy", "buy", "sell"))
        eur = Decimal(random.randint(9, 28))
        columns: dict[str, object] = {}
        kinds = ("fits", "market", "size", "confidence", "price", "limit")
        match random.choices(kinds, (76, 4, 6, 4, 4, 6))[0]:
            case "market":
                market = random.choice(MARKETS)
            case "size":
                edge = Decimal(policy["limits"]["order"][random.choice(("min_eur", "max_eur"))])
                eur = max(Decimal(6), edge + random.choice((Decimal("-0.01"), Decimal(0), Decimal("0.01"))))
            case "confidence":
                columns = {"confidence": random.choice((69, 70, 74, 75))}
            case "price":
                columns = {"reference_price": self._about(market, side, "0.98", "0.995", "1.02")}
            case "limit":
                columns = {
                    "order_type": "limit",
                    "limit_price": self._about(market, side, "0.999", "1.001"),
                }
        return self.people.proposal(owner, market, side, eur, **columns)

    def _about(self, market: str, side: str, *shares: str) -> Decimal:
        price = self.people.price(market, side)
        return round(price * Decimal(self.place.random.choice(shares)), 2)

    def _approve_old(self, within: Process | None = None) -> None:
        """One that was approved already, or that a scan wrote; sometimes by somebody else."""
        random = self.place.random
        known = list(self.place.journal.proposals.values())
        if not known:
            return
        proposal = random.choice(known[-8:])
        owner = random.choice(self.owners) if random.random() < 0.15 else proposal.owner
        self._approve(owner, proposal.id, within)

    def _approve(self, owner: UUID, proposal: UUID, within: Process | None = None) -> None:
        random = self.place.random
        self.functions.approve(owner, proposal, (random.random() < 0.5, random.random() < 0.5), within)

    def _people(self) -> None:
        random, people, journal = self.place.random, self.people, self.place.journal
        owner = random.choice(self.owners)
        shares = {
            "policy": 22,
            "state": 10,
            "halt": 6,
            "edit": 4,
            "controls": 14,
            "decline": 5,
            "clock": 18,
            "order": 6,
            "intruder": 3,
            "look": 12,
        }
        match random.choices(list(shares), list(shares.values()))[0]:
            case "policy":
                people.set_policy(owner, self._policy())
            case "state":
                people.set_state(owner, random.choice(("ACTIVE", "REDUCE_ONLY", "HALTED")))
            case "halt":
                people.halt()
            case "edit":
                people.edit()
            case "controls":
                changes = {**self._ceilings(), "mode": "dry_run"}
                name = random.choice(list(changes))
                people.set_controls(**{name: changes[name]})
            case "decline" if journal.proposals:
                people.decline(random.choice(list(journal.proposals)[-3:]))
            case "clock":
                people.step_clock()
            case "order":
                people.intrude(_OWNERS_OWN)
            case "intruder":
                people.intrude(OPERATOR_ID)
            case _:
                people.look()

    def _meanwhile(self, process: Process) -> None:
        """What others do while a process is between two steps, in the worst of weathers.

        Often just what that process is about to do.
        """
        weather, self.between.weather = self.between.weather, WEATHERS[-1]
        try:
            self._others_act(process)
        finally:
            self.between.weather = weather

    def _others_act(self, process: Process) -> None:
        kinds = ("same", "other", "cleanup", "tick", "people")
        match self.place.random.choices(kinds, (45, 8, 18, 7, 22))[0]:
            case "same" if process.asked is not None:
                owner = self.place.journal.proposals[process.asked].owner
                self._approve(owner, process.asked, process)
            case "other":
                self._approve_old(process)
            case "cleanup":
                self.functions.clean_up(process)
            case "tick":
                self.functions.tick(process)
            case _:
                self._people()

    # The end

    def _come_to_rest(self) -> None:
        """Nothing goes wrong any more: cleanup runs until nothing is left to learn; halts are lifted."""
        self.place.story.tell("seed", "comes to rest")
        self.between.weather, self.between.meanwhile = CALM, None
        while self.place.clocks.something_is_due:
            self.place.clocks.advance(_MINUTE)
            if self.place.random.random() < 0.3:
                self.functions.clean_up()
        for number in range(_MOST_RUNS):
            self.place.clocks.advance(self._until_the_next_check())
            self.functions.clean_up()
            self.people.look()
            if number > 0 and self._nothing_left():
                break

    def _until_the_next_check(self) -> float:
        self.place.sync()
        wait = self.place.db.one(
            """
            select extract(epoch from min(next_check_at) - interlock.clock())::float8
            from public.trade_executions
            """
        )
        return max(2 * _MINUTE, min(wait or 0.0, 10 * _MINUTE))

    def _nothing_left(self) -> bool:
        return not self.place.db.one(
            """
            select exists (select from public.trade_executions where next_check_at is not null)
                or exists (select from public.scan_jobs where locked_at is not null)
                or exists (select from public.gpt_usage_log where status = 'RESERVED')
            """
        )
