"""An owner who tries to stop everybody else with all that an owner may do, and with no token at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from uuid import UUID

from tests.database.harness import Refused
from tests.soak.neighbours import STRANGE_KEY, Deployment, Hostile, policy_of, token_of

_MARKET, _SIZE = "XRP-EUR", Decimal(10)
_MOST_MARKETS = 100
_AT_ONCE = 20
_STORM = 20
_TIME_FOR_THE_REST_S = 3


@dataclass
class Busy(Hostile):
    """Does everything at once, again and again: `approvals` and `rewrites` of each kind, twice a minute.

    `refused_before` refusals are in the audit already: the day before was spent with approvals that fail.
    """

    approvals: int
    rewrites: int
    refused_before: int
    owner: UUID = field(init=False)
    _deployment: Deployment = field(init=False)
    _token: str = field(init=False)
    _strange: list[str] = field(init=False)
    _rewritten: int = 0

    def begin(self, deployment: Deployment) -> None:
        """Become an owner like any other, and fill the audit with what an owner can fill it with."""
        self._deployment = deployment
        people = deployment.people
        self.owner = people.owner(policy_of([_MARKET]))
        self._token = token_of(self.owner)
        self._strange = [
            "no.token.atall",
            token_of(self.owner, key=STRANGE_KEY),
            token_of(self.owner, kid="unknown"),
            token_of(self.owner, lasts_s=-60),
            token_of(self.owner, role="service_role"),
        ]
        self._approve(self._dead())
        self._fill_the_audit()

    def act(self, minute: int, left_s: Callable[[], float]) -> None:
        """Policies, approvals, tokens, jobs, declines: as much of each as there is time for."""
        people = self._deployment.people
        for _ in range(self.rewrites):
            self._rewrite()
        dead = self._dead()
        self._deployment.between.at_once = _AT_ONCE
        self._storm(self.approvals * (_STORM if minute % _STORM == 3 else 1), dead, left_s)
        self._deployment.between.at_once = 1
        self._approve_what_is_not_theirs()
        for enabled in (False, True):
            people.schedule(self.owner, enabled=enabled)
        people.decline(dead)
        self._approve(dead)
        if minute % 5 == 0:
            self._approve(people.proposal(self.owner, _MARKET, "buy", _SIZE))

    def _storm(self, approvals: int, dead: UUID, left_s: Callable[[], float]) -> None:
        looked_at = self._moved()
        for number in range(approvals):
            if left_s() < _TIME_FOR_THE_REST_S:
                break
            self._deployment.request(self._strange[number % len(self._strange)], dead)
            self._approve(dead)
            self._approve(looked_at)

    def _rewrite(self) -> None:
        """An allowlist of the most markets that it may name; all but one do not exist, and each is new."""
        self._rewritten += 1
        dead = [f"X{self._rewritten}N{number}-EUR" for number in range(_MOST_MARKETS - 1)]
        self._deployment.people.set_policy(self.owner, policy_of([*dead, _MARKET]))

    def _dead(self) -> UUID:
        """A proposal that no approval gets past the checks which need no market."""
        return self._proposal("DOGE-EUR")

    def _moved(self) -> UUID:
        """A proposal whose every approval reads the market, and finds that the price has moved."""
        price = self._deployment.people.price(_MARKET, "buy")
        return self._proposal(_MARKET, reference_price=price * 2)

    def _proposal(self, market: str, **columns: object) -> UUID:
        return self._deployment.people.proposal(self.owner, market, "buy", _SIZE, **columns)

    def _approve(self, proposal: UUID) -> None:
        self._deployment.request(self._token, proposal)

    def _approve_what_is_not_theirs(self) -> None:
        journal = self._deployment.place.journal
        for proposal in list(journal.proposals.values())[-20:]:
            if proposal.owner != self.owner:
                self._approve(proposal.id)
                try:
                    self._deployment.people.decline(proposal.id, by=self.owner)
                except Refused:
                    continue
                journal.violated(f"{proposal.id} was declined by somebody else")

    def _fill_the_audit(self) -> None:
        """What the same loop would have left behind in the last 24 hours, spread over them."""
        self._deployment.place.db.do(
            """
            insert into public.audit_events (at, event, actor, detail, proposal_id, user_id)
            select
                interlock.clock() - number * interval '24 hours' / %s, event.event, event.actor,
                event.detail, event.proposal_id, event.user_id
            from public.audit_events as event
            cross join generate_series(1, %s) as number
            where event.event = 'EXECUTION_REFUSED' and event.user_id = %s
            """,
            self.refused_before,
            self.refused_before,
            self.owner,
        )
