"""The owners, the operator, an intruder and the clocks of one deployment; what they do is in the journal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID

from local.exchange.foreign import ForeignOrders, place_foreign
from local.stack import OPERATOR_ID
from tests.database.harness import Caller
from tests.soak.oracle import BY_HAND, Oracle
from tests.soak.place import Place

MARKETS = ("BTC-EUR", "ETH-EUR", "SOL-EUR")
FARTHEST_STEP_MS = 30_000
"""How far a clock may jump, and back: less than what absence waits for beyond the window."""


@dataclass
class People:
    """Whatever they set is in force from the answer on, and written down then."""

    place: Place
    oracle: Oracle
    service: Caller
    _signed_in: Caller = field(init=False)
    _jumped: bool = False
    """Is the clock of exchange or database off right now?"""

    def __post_init__(self) -> None:
        self._signed_in = self.place.db.as_user(UUID(int=0))

    # Owners

    def owner(self, policy: dict[str, Any]) -> UUID:
        """A new owner with a scan job and this policy."""
        db, journal, owner = self.place.db, self.place.journal, self.place.id()
        self.place.sync()
        db.do("insert into auth.users (id, email) values (%s, %s)", owner, f"{owner}@example.test")
        db.do("insert into public.trading_owners (user_id) values (%s)", owner)
        self.place.story.call(owner, f"owner {len(journal.policies) + 1}")
        journal.states[owner] = "ACTIVE"
        self.set_policy(owner, policy)
        db.do(
            "insert into public.scan_jobs (id, user_id, enabled) values (%s, %s, true)",
            self.place.id(),
            owner,
        )
        return owner

    def proposal(self, owner: UUID, market: str, side: str, eur: Decimal, **columns: object) -> UUID:
        """A proposal of so many EUR at the exchange's price, whatever the policy says."""
        self.place.sync()
        price = self.price(market, side)
        size: dict[str, object] = (
            {"amount_quote": eur} if side == "buy" else {"amount": round(eur / price, 6)}
        )
        row = {"id": self.place.id(), "reference_price": price, "confidence": 80} | size | columns
        identifier = self.place.db.proposal(owner, side=side, market=market, **row)
        self.oracle.stored(identifier)
        return identifier

    def price(self, market: str, side: str) -> Decimal:
        """What a buyer pays now, or a seller gets."""
        bids, asks = self.place.exchange.engine.book(market, self.place.exchange.clock.now())
        return (asks if side == "buy" else bids)[0].price

    def set_policy(self, owner: UUID, policy: dict[str, Any]) -> None:
        """The owner sets a policy."""
        self._as_owner(owner, "set_trading_policy", p_policy=policy)
        self.place.journal.policies[owner] = policy
        self.place.story.tally["policies set"] += 1
        self.place.story.tell(self.place.story.named(owner), f"sets a policy: {_short(policy)}")

    def set_state(self, owner: UUID, state: str) -> None:
        """The owner tightens, or loosens after a look at why it was tightened."""
        journal, story = self.place.journal, self.place.story
        version, reason = self.place.db.rows(
            "select version, state_reason from public.trading_policies where user_id = %s", owner
        )[0]
        if journal.states[owner] != "ACTIVE" and not self.oracle.reason_holds(reason, owner):
            journal.violated(f"{story.named(owner)} is halted without a reason: {reason}")
        self._as_owner(owner, "set_trading_state", p_state=state, p_version=version)
        journal.states[owner] = state
        story.tell(story.named(owner), f"sets {state}, knowing: {reason}")

    def decline(self, proposal: UUID, *, by: UUID | None = None) -> None:
        """The owner declines a proposal, or somebody else tries to. Raises Refused when it is not theirs."""
        journal, story = self.place.journal, self.place.story
        owner = by or journal.proposals[proposal].owner
        answer = self._as_owner(owner, "decline_proposal", p_proposal_id=proposal)
        if answer["outcome"] == "declined":
            journal.declined.add(proposal)
        story.tell(story.named(owner), f"declines {story.named(proposal)}: {answer['outcome']}")

    def schedule(self, owner: UUID, *, enabled: bool) -> None:
        """The owner switches the scan on, due at once, or off."""
        self._as_owner(owner, "schedule_scan", p_enabled=enabled)

    def _as_owner(self, owner: UUID, rpc: str, **params: object) -> Any:
        self.place.sync()
        claims = {"role": "authenticated", "sub": str(owner), "aud": "authenticated"}
        self._signed_in.connection.execute(
            "select set_config('request.jwt.claims', %s, false)", (json.dumps(claims),)
        )
        return self._signed_in.call(rpc, **params)

    # The operator

    def halt(self) -> None:
        """The operator halts everything."""
        self.place.sync()
        self.service.call("halt_trading", p_reason=f"{BY_HAND}: to be sure")
        self._halted("halts")

    def edit(self) -> None:
        """Somebody halts everything by an edit in the dashboard."""
        self.place.sync()
        self.place.db.do(
            "update public.trading_controls set trading_state = 'HALTED', reason = %s where singleton",
            f"{BY_HAND}: in the dashboard",
        )
        self._halted("edits the controls: HALTED")

    def _halted(self, told: str) -> None:
        self.place.journal.state = "HALTED"
        self.place.story.tally["halts by a person"] += 1
        self.place.story.tell("operator", told)

    def set_controls(self, **changes: object) -> None:
        """The operator changes the controls."""
        self.place.sync()
        version = self.place.db.one("select version from public.trading_controls")
        self.service.call("set_trading_controls", p_changes=changes, p_version=version)
        self.place.journal.controls_set(changes)
        self.place.story.tell("operator", f"sets {changes}")

    def look(self) -> None:
        """The operator checks the reason of a halt against the exchange's record, and lifts it."""
        journal, story = self.place.journal, self.place.story
        self.oracle.look_for_halts()
        if journal.state != "ACTIVE":
            reason = self.place.db.one("select reason from public.trading_controls")
            if not self.oracle.reason_holds(reason):
                journal.violated(f"trading is halted without a reason: {story.readable(reason)}")
            story.tell("operator", f"has checked: {story.readable(reason)}")
            story.tally["halts lifted"] += 1
            self.set_controls(trading_state="ACTIVE", reason=f"{BY_HAND}: checked")
        if journal.mode != "live":
            self.set_controls(mode="live")
        for owner, state in journal.states.items():
            if state != "ACTIVE":
                self.set_state(owner, "ACTIVE")
        self._settle_what_is_old()

    def _settle_what_is_old(self) -> None:
        """What is open for a day is a person's to settle, when the exchange's record has no order."""
        self.place.sync()
        old = self.place.db.rows(
            """
            select id
            from public.trade_executions
            where status in ('CLAIMED', 'UNKNOWN')
                and to_timestamp(access_timestamp / 1000.0) < interlock.clock() - interval '24 hours'
            order by claimed_at
            """
        )
        for (execution,) in old:
            if self.place.journal.orders_of(execution):
                continue
            self.place.story.tally["settled by hand"] += 1
            self.place.story.tell("operator", f"settles {self.place.story.named(execution)} by hand")
            self.service.call(
                "settle_by_hand",
                p_execution_id=execution,
                p_status="NOT_PLACED",
                p_who="operator",
                p_reason=f"{BY_HAND}: the exchange's record has no order",
                p_evidence=None,
            )

    # The world

    def intrude(self, operator_id: int, market: str | None = None) -> None:
        """An order without an approval appears: an intruder's with our operator id, else the owner's own.

        In a market that is watched: where nobody ever traded or may trade, nobody looks.
        """
        market = market or self.place.random.choice(sorted(self.place.journal.compared))
        ids = place_foreign(self.place.exchange, ForeignOrders(market=market, operator_id=operator_id))
        if operator_id == OPERATOR_ID:
            self.place.journal.intruders.update((market, order) for order in ids)
            self.place.story.tally["intruders"] += 1
        self.oracle.look_at_the_record()
        self.place.story.tell("somebody", f"places an order in {market} with operator id {operator_id}")

    def step_clock(self) -> None:
        """A clock jumps, and is put right later; never that of exchange and database at one time."""
        random = self.place.random
        which = random.choice(("exchange", "database", "function"))
        if which != "function" and self._jumped:
            return
        self._jumped = self._jumped or which != "function"
        by_ms = random.choice((1, -1)) * random.randint(100, FARTHEST_STEP_MS)
        self.place.story.tally["clock steps"] += 1
        self._step_clock(which, by_ms)
        self.place.clocks.later(random.uniform(20, 300), lambda: self._put_right(which, by_ms))

    def _put_right(self, which: str, by_ms: int) -> None:
        self._step_clock(which, -by_ms)
        self._jumped = self._jumped and which == "function"

    def _step_clock(self, which: str, by_ms: int) -> None:
        self.place.story.tell("clocks", f"that of the {which} moves by {by_ms} ms")
        if which == "exchange":
            self.place.exchange.clock.step(by_ms)
        elif which == "database":
            self.place.clocks.database_off_ms += by_ms
        else:
            self.place.clocks.function_off_ms += by_ms


def _short(policy: Mapping[str, Any]) -> str:
    order, daily = policy["limits"]["order"], policy["limits"]["daily"]
    return (
        f"{'/'.join(policy['allowlist'])}, {order['min_eur']} to {order['max_eur']} EUR, "
        f"{daily['trades']} trades and {daily['value_eur']} EUR a day, "
        f"cooldown {policy['cooldown_minutes']} min, anti-flip {policy['anti_flip_minutes']} min"
    )
