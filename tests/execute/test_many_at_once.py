"""Limits hold however many ask at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import psycopg

from tests.execute.conftest import Proxied
from tests.people import OPEN_POLICY, Approval, People

FREE: dict[str, Any] = {**OPEN_POLICY, "cooldown_minutes": 0, "anti_flip_minutes": 0}


def at_once(work: Callable[[Any], Approval], items: list[Any]) -> list[Approval]:
    with ThreadPoolExecutor(len(items)) as pool:
        return list(pool.map(work, items))


def test_fifty_approvals_of_one_proposal_make_one_order(people: People, proxied: Proxied) -> None:
    """Spread over two processes: one order, 49 answers 409, nobody is turned away as busy."""
    owner = people.owner()
    proposal = people.proposal(owner)
    addresses = [people.place.functions["execute"], proxied.address] * 25

    def approve(address: str) -> Approval:
        answer = people.http.post(address, json={"proposalId": str(proposal)}, headers=owner.bearer())
        return Approval(answer.status_code, answer.json())

    answers = at_once(approve, addresses)
    assert Counter(answer.status for answer in answers) == {200: 1, 409: 49}
    assert len(people.orders(proposal)) == 1


def test_a_daily_limit_holds_over_markets_at_once(people: People) -> None:
    """Twenty proposals in twenty markets against five trades a day: exactly five orders."""
    rows = people.http.get(f"{people.place.exchange_url}/markets").json()
    markets = [row["market"] for row in rows if row["quote"] == "EUR" and row["status"] == "trading"][:20]
    assert len(markets) == 20
    owner = people.owner({**FREE, "allowlist": markets, "limits": {"daily": {"trades": 5}}})
    proposals = [(market, people.proposal(owner, market=market)) for market in markets]

    answers = at_once(lambda one: people.approve(owner, one[1]), proposals)

    told = Counter(answer.status for answer in answers)
    assert told[200] == 5, [answer.body for answer in answers]
    assert all(a.codes == {"DAILY_TRADES_EXHAUSTED"} for a in answers if a.status == 422)
    assert told[200] + told[422] + told[503] == 20
    assert sum(len(people.orders(proposal, market)) for market, proposal in proposals) == 5


def test_two_owners_at_once_never_exceed_the_accounts_ceiling(
    people: People, database: psycopg.Connection
) -> None:
    """What is left of the account's day is enough for one of them: one order."""
    owners = [people.owner(FREE), people.owner(FREE)]
    proposals: list[tuple[Any, UUID]] = [(owner, people.proposal(owner)) for owner in owners]
    status = people.http.get(f"{people.place.functions['execute']}/status", headers=owners[0].bearer()).json()
    spent = float(status["today"]["account_value_eur"])
    ceiling = "update public.trading_controls set max_daily_value_eur = %s"
    (before,) = database.execute("select max_daily_value_eur from public.trading_controls").fetchone() or ()
    database.execute(ceiling, (spent + 15,))
    try:
        answers = at_once(lambda one: people.approve(*one), proposals)
    finally:
        database.execute(ceiling, (before,))
    assert sorted(answer.status for answer in answers) == [200, 422]
    assert next(a for a in answers if a.status == 422).codes == {"ACCOUNT_LIMIT_EXHAUSTED"}
    assert sum(len(people.orders(proposal)) for _, proposal in proposals) == 1
