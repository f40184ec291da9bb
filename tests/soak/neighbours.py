"""Two owners of one deployment: one minds their own business, the other is hostile, or not there at all.

The same hour is played twice, with the hostile owner and without; what the first one sees must be the same to
the letter. Both live in minutes of one shape, so that nothing which one of them does shifts the other:
cleanup, the hostile one, the neighbour, a scan, the hostile one again. What is drawn is drawn anew for each
of these, from the seed, the minute and who acts.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from difflib import unified_diff
from random import Random
from typing import Any, TypeVar
from uuid import UUID

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from flask import Request, Response
from werkzeug.test import EnvironBuilder

from functions.execute import protocol
from functions.execute.auth import JwksVerifier, ProjectKeys
from functions.execute.exchange import BitvavoTrade
from functions.execute.pace import Pace
from functions.execute.protocol import Trader
from functions.execute.records import Account, Records
from functions.execute.service import Service, handle
from functions.scan_tick.answer import Completion, Tokens
from functions.scan_tick.question import Question
from local import stack
from local.stack import OPERATOR_ID, Stack
from shared.bitvavo import BitvavoReadonly
from tests.cleanup.short_way import TRADE_KEYS
from tests.database.harness import opened
from tests.soak.clocks import NS
from tests.soak.functions import AtOnce, Functions
from tests.soak.journal import Journal
from tests.soak.log import errors_seen
from tests.soak.oracle import Oracle
from tests.soak.people import MARKETS, People
from tests.soak.place import Place
from tests.soak.schedule import place_of
from tests.soak.ways import ADDRESS, DatabaseWay, ExchangeWay, Process
from tests.soak.weather import Between

ROUND = 20
"""Minutes after which the neighbour has met everything once, halts included."""

OLDEST_COMPARISON = timedelta(minutes=4)
"""Cleanup runs every minute; far below the quarter of an hour after which live trading stops."""

_SECONDS = {"cleanup": 0, "hostile": 6, "neighbour": 18, "scan": 36, "hostile again": 48, "end": 59}
"""When in a minute who acts."""

_ISSUER = "https://project.test/auth/v1"
_PATIENCE_S = 8.0
_OWN_KEY, STRANGE_KEY = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
_KEYS = {
    "keys": [
        json.loads(jwt.algorithms.ECAlgorithm.to_jwk(_OWN_KEY.public_key())) | {"kid": "own", "use": "sig"}
    ]
}
_LIMITS = {
    "max_order_eur": "1000",
    "max_daily_value_eur": "1000000",
    "max_daily_gpt_calls": None,
    "max_daily_gpt_tokens": None,
}
T = TypeVar("T")


def policy_of(allowlist: list[str], **changed: object) -> dict[str, Any]:
    """A policy that lets small trades in these markets pass."""
    return {
        "allowlist": allowlist,
        "min_confidence": 70,
        "limits": {
            "order": {"min_eur": "6", "max_eur": "60"},
            "daily": {"trades": 1000, "value_eur": "100000"},
            "gpt": {"daily": 100, "hourly": 10},
        },
        "cooldown_minutes": 0,
        "anti_flip_minutes": 0,
        "max_price_move_percent": "1.0",
        "max_spread_percent": "5",
        "proposal_ttl_minutes": 15,
        "scan_interval_minutes": 60,
    } | changed


@dataclass
class Calm(Between):
    """Nothing goes wrong but what the schedule says: orders that are lost on their way. The model holds."""

    loses_orders: bool = False

    def _order(self, process: Process, request: httpx.Request) -> httpx.Response:
        self.oracle.sent(process, request.content)
        if self.loses_orders:
            self.place.clocks.advance(_PATIENCE_S)
            raise httpx.ReadTimeout("no answer in time")
        return self._serve(request)

    def model_call(self, process: Process, question: Question) -> Completion:  # noqa: ARG002 - it never trades
        self.oracle.model_asked(process)
        hold = {"action": "hold", "market": None, "amount_eur": None, "confidence": 90, "rationale": "Calm."}
        return Completion(json.dumps(hold), Tokens(900, 60))


@dataclass
class Deployment:
    """What both owners share: one warm instance of execute, asked over HTTP, and everything behind it."""

    place: Place
    seed: int
    oracle: Oracle = field(init=False)
    between: Calm = field(init=False)
    functions: Functions = field(init=False)
    people: People = field(init=False)
    alarms: list[str] = field(default_factory=list)
    """What cleanup's last run told a person."""
    _instance: Process = field(default_factory=lambda: Process("execute"))
    _service: Service = field(init=False)

    def __post_init__(self) -> None:
        database = self.place.db.as_service()
        self.oracle = Oracle(self.place)
        self.between = Calm(self.place, self.oracle, database)
        self.functions = Functions(self.place, self.between, protocol)
        self.people = People(self.place, self.oracle, database)
        self._service = self._started()

    def _started(self) -> Service:
        clocks, way = self.place.clocks, ExchangeWay(self.between, self._instance)
        http = httpx.Client(transport=way, trust_env=False)
        keys = httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, json=_KEYS)))
        account = Account("live", OPERATOR_ID, TRADE_KEYS.fingerprint, ADDRESS)
        records = Records(DatabaseWay(self.between, self._instance), account)
        trader = Trader(
            records=records,
            market_data=BitvavoReadonly(http, ADDRESS, None, clocks.function_ms, monotonic=clocks.monotonic),
            trade=BitvavoTrade(http, ADDRESS, TRADE_KEYS, OPERATOR_ID, monotonic=clocks.monotonic),
            side_by_side=AtOnce(),
            operator_id=OPERATOR_ID,
            access_window_ms=5000,
            pace=Pace(clocks.monotonic),
            now_ms=clocks.function_ms,
            monotonic=clocks.monotonic,
            sleep=clocks.advance,
            notify=self.alarms.append,
        )
        verifier = JwksVerifier(
            ProjectKeys(f"{_ISSUER}/.well-known/jwks.json", keys, monotonic=clocks.monotonic), _ISSUER
        )
        return Service(verifier, records, trader, ())

    def request(self, token: str, proposal: UUID | None) -> Response:
        """Ask execute to approve a proposal, or, without one, for the status."""
        self._instance.asked = proposal
        body = None if proposal is None else json.dumps({"proposalId": str(proposal)}).encode()
        asked = EnvironBuilder(
            path="/status" if proposal is None else "/",
            method="GET" if proposal is None else "POST",
            headers=[("Authorization", f"Bearer {token}")],
            content_type=None if proposal is None else "application/json",
            data=body,
        )
        return handle(self._service, Request(asked.get_environ()))

    def clean_up(self) -> None:
        """One run of cleanup, after which the comparison is young."""
        self.alarms[:] = self.functions.clean_up()
        db, now = self.place.db, self.place.clocks.database_time()
        compared = db.one("select reconciled_at from public.trading_controls")
        if compared < now - OLDEST_COMPARISON:
            self.place.journal.violated(f"at {now} orders were last compared at {compared}")

    def act(self, who: str, minute: int, begin: float, acts: Callable[[], T]) -> T:
        """Let somebody act at a second of a minute, by a chance of their own. No act may be late."""
        clocks, at_ns = self.place.clocks, self._begins_ns(minute) + int(begin * NS)
        if clocks.now_ns() > at_ns:
            raise RuntimeError(f"{who} comes too late in minute {minute}")
        clocks.advance((at_ns - clocks.now_ns()) / NS)
        self.place.random = Random(f"{self.seed} {minute} {begin} {who}")  # noqa: S311 - chance, not a secret
        return acts()

    def begin(self) -> None:
        """Everything is counted in minutes from here."""
        self._began_ns = self.place.clocks.now_ns()

    def _begins_ns(self, minute: int) -> int:
        return self._began_ns + 60 * NS * minute

    def left_s(self, minute: int, end: str) -> float:
        """Seconds until somebody else acts."""
        return (self._begins_ns(minute) + _SECONDS[end] * NS - self.place.clocks.now_ns()) / NS


def token_of(
    owner: UUID, *, key: Any = _OWN_KEY, kid: str = "own", lasts_s: int = 86_400, **changed: str
) -> str:
    """An access token, of the project unless another key signs it."""
    now = int(time.time())
    claims: dict[str, object] = {
        "sub": str(owner),
        "aud": "authenticated",
        "role": "authenticated",
        "iss": _ISSUER,
        "iat": now - 100_000,
        "exp": now + lasts_s,
    }
    return jwt.encode(claims | changed, key, "ES256", headers={"kid": kid})


@dataclass
class Neighbour:
    """Who minds their own business. `seen` is all that they were answered."""

    deployment: Deployment
    owner: UUID = field(init=False)
    seen: list[str] = field(default_factory=list)
    _proposals: list[UUID] = field(default_factory=list)
    _token: str = field(init=False)

    def __post_init__(self) -> None:
        self.owner = self.deployment.people.owner(policy_of(list(MARKETS)))
        self._token = token_of(self.owner)

    def act(self, minute: int) -> None:
        """What this minute brings: mostly an approval; once a round each halt, and how it is lifted."""
        people, between = self.deployment.people, self.deployment.between
        match minute % ROUND:
            case 8 | 9 | 10 as number:
                between.loses_orders = True
                self._approve(minute, self._proposal(MARKETS[number - 8], "buy"))
                between.loses_orders = False
            case 3 | 12 | 15:
                self._approve(minute, self._proposal("BTC-EUR", "buy"))
            case 13 | 16:
                people.look()
                self._approve(minute, self._proposal("BTC-EUR", "buy"))
            case 14:
                people.intrude(OPERATOR_ID, MARKETS[0])
                self._approve(minute, self._proposal("ETH-EUR", "sell"))
            case _:
                self._anything(minute)
        self._status(minute)

    def _anything(self, minute: int) -> None:
        random, people = self.deployment.place.random, self.deployment.people
        kinds = ("fits", "limit", "size", "market", "price", "again", "decline", "policy")
        match random.choices(kinds, (30, 10, 10, 10, 10, 10, 10, 10))[0]:
            case "limit":
                price = round(people.price("ETH-EUR", "buy") * Decimal("1.001"), 1)
                proposal = self._proposal("ETH-EUR", "buy", order_type="limit", limit_price=price)
            case "size":
                proposal = self._proposal("BTC-EUR", "buy", eur=Decimal(61))
            case "market":
                proposal = self._proposal("ADA-EUR", "buy")
            case "price":
                price = round(people.price("SOL-EUR", "buy") * Decimal("0.97"), 2)
                proposal = self._proposal("SOL-EUR", "buy", reference_price=price)
            case "again" if self._proposals:
                proposal = random.choice(self._proposals[-8:])
            case "decline":
                proposal = self._proposal("BTC-EUR", "sell")
                people.decline(proposal)
            case "policy":
                cooldown = random.choice((0, 1, 3))
                people.set_policy(self.owner, policy_of(list(MARKETS), cooldown_minutes=cooldown))
                proposal = self._proposal("SOL-EUR", "buy")
            case _:
                side = random.choice(("buy", "sell"))
                proposal = self._proposal(random.choice(MARKETS), side)
        self._approve(minute, proposal)

    def _proposal(self, market: str, side: str, eur: Decimal = Decimal(20), **columns: object) -> UUID:
        made = self.deployment.people.proposal(self.owner, market, side, eur, **columns)
        self._proposals.append(made)
        return made

    def _approve(self, minute: int, proposal: UUID) -> None:
        answer = self.deployment.request(self._token, proposal)
        wish = self.deployment.place.journal.proposals[proposal]
        self.seen.append(f"{minute}: {wish.side} {wish.market} {answer.status_code} {_told(answer)}")

    def _status(self, minute: int) -> None:
        answer = self.deployment.request(self._token, None)
        body = json.loads(answer.get_data())
        shown = {
            "trading": body.get("trading"),
            "stale": body.get("reconciliation", {}).get("stale"),
            "unsettled": [row["id"] for row in body.get("unsettled_executions", ())],
            "pending": [row["id"] for row in body.get("pending_proposals", ())],
            "trades": body.get("today", {}).get("trades"),
            "value": body.get("today", {}).get("value_eur"),
            "budget": body.get("model_budget"),
        }
        self.seen.append(f"{minute}: status {answer.status_code} {json.dumps(shown)}")

    def scan(self, minute: int) -> None:
        """Now and then the neighbour has the markets scanned at once."""
        if minute % 5 == 2:
            self.deployment.people.schedule(self.owner, enabled=True)
        self.deployment.functions.tick(by_chance=False)
        outcome, failures, due = self.deployment.place.db.rows(
            """
            select last_outcome, consecutive_failures, enabled and next_run_at <= interlock.clock()
            from public.scan_jobs
            where user_id = %s
            """,
            self.owner,
        )[0]
        self.seen.append(f"{minute}: scan {outcome}, {failures} failures, {'still due' if due else 'done'}")

    def hear(self, minute: int) -> None:
        """What was told of halts that concern this owner."""
        told = [
            alarm
            for alarm in self.deployment.alarms
            if "halted" in alarm and ("owner" not in alarm or str(self.owner) in alarm)
        ]
        self.seen.extend(f"{minute}: told {alarm}" for alarm in told)


def _told(answer: Response) -> str:
    """Code, checks and order of an answer; the facts of a check name times and what others spent."""
    body = json.loads(answer.get_data())
    checks = [f"{check['check']} {check['code'] or check['verdict']}" for check in body.get("checks", ())]
    execution = body.get("execution") or {}
    columns = ("id", "status", "error_code", "filled_amount", "filled_amount_quote", "fee", "order_value")
    order = {name: execution.get(name) for name in columns} | {
        "sent": (execution.get("request") or {}).get("body")
    }
    return f"{body.get('code')} {checks} {order if execution else ''}"


@dataclass(frozen=True)
class Played:
    """An hour that was played: what the neighbour saw, and what was wrong whoever looks."""

    seen: list[str]
    journal: Journal


class Hostile:
    """Acts twice a minute, each time until somebody else's turn."""

    def begin(self, deployment: Deployment) -> None:
        """Move in."""

    def act(self, minute: int, left_s: Callable[[], float]) -> None:
        """Do the worst."""


def play(server: Stack, seed: int, minutes: int, hostile: Hostile) -> Played:
    """Play so many minutes in a deployment of their own."""
    url = stack.fresh_database(server)
    try:
        with opened(url) as db:
            place = place_of(db, seed)
            with errors_seen(place.journal):
                deployment = Deployment(place, seed)
                deployment.people.set_controls(**_LIMITS)
                neighbour = Neighbour(deployment)
                hostile.begin(deployment)
                deployment.begin()
                for minute in range(minutes):
                    _minute(deployment, neighbour, hostile, minute)
            return Played(neighbour.seen, place.journal)
    finally:
        stack.drop_database(server, url)


def _minute(deployment: Deployment, neighbour: Neighbour, hostile: Hostile, minute: int) -> None:
    def acts(who: str, what: Callable[[], None]) -> None:
        deployment.act(who, minute, _SECONDS[who], what)

    acts("cleanup", deployment.clean_up)
    neighbour.hear(minute)
    acts("hostile", lambda: hostile.act(minute, lambda: deployment.left_s(minute, "neighbour")))
    acts("neighbour", lambda: neighbour.act(minute))
    acts("scan", lambda: neighbour.scan(minute))
    acts("hostile again", lambda: hostile.act(minute, lambda: deployment.left_s(minute, "end")))


def differences(alone: list[str], together: list[str]) -> str:
    """Where what was seen is not the same, line by line; nothing when it is."""
    return "\n".join(unified_diff(alone, together, "alone", "together", n=0, lineterm=""))
