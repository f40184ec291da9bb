"""A halt that has answered holds, and nothing but an open claim delays it."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from threading import Event
from typing import Any
from uuid import UUID, uuid4

import psycopg
import psycopg.types.json
import pytest

from tests.database.acts import background, claimed, failed_codes, take, transaction, until_it_waits
from tests.database.harness import (
    NOON,
    POLICY,
    Caller,
    Refused,
    TestDatabase,
    body,
    open_trading,
    order,
    record,
)

_CLIENTS = 16
_CLAIMS_EACH = 60
_BEFORE_THE_HALT = 40
_CLAIM_LIMIT_MS = 1500


def test_no_claim_is_granted_once_a_halt_has_answered(db: TestDatabase) -> None:
    """Sixteen clients claim without pause: what is granted when the halt answers is all that ever is."""
    markets = [f"X{number}-EUR" for number in range(_CLAIMS_EACH)]
    asked = [_claims(db, db.owner({**POLICY, "allowlist": markets}), markets) for _ in range(_CLIENTS)]
    answered = Event()

    def client(caller: Caller, claims: list[dict[str, object]]) -> list[tuple[bool, dict[str, Any]]]:
        found = []
        for parameters in claims:
            after_the_halt = answered.is_set()
            found.append((after_the_halt, caller.call("claim_execution", **parameters)))
            if after_the_halt and len(found) > _CLAIMS_EACH // 4:
                break
        return found

    halting = db.as_service()
    callers = [db.as_service() for _ in range(_CLIENTS)]
    with ThreadPoolExecutor(_CLIENTS) as pool:
        clients = [pool.submit(client, *pair) for pair in zip(callers, asked, strict=True)]
        while _granted(db) < _BEFORE_THE_HALT and not all(future.done() for future in clients):
            time.sleep(0.01)
        halting.call("halt_trading", p_reason="while sixteen clients claim")
        granted = _granted(db)
        answered.set()
        answers = [answer for future in clients for answer in future.result()]

    assert granted >= _BEFORE_THE_HALT
    assert _granted(db) == granted
    later = [answer for after_the_halt, answer in answers if after_the_halt]
    assert {answer["outcome"] for answer in later} <= {"refused", "busy"}
    assert {code for answer in later for code in failed_codes(answer)} == {"TRADING_HALTED"}


def _claims(db: TestDatabase, owner: UUID, markets: list[str]) -> list[dict[str, object]]:
    """What claims one proposal in each market; made in one statement, for there are many."""
    db.do(
        """
        insert into public.trade_proposals
            (id, user_id, market, side, amount_quote, reference_price, confidence, rationale)
        select gen_random_uuid(), %s, market, 'buy', 10, 50000, 80, 'one of many'
        from unnest(%s::text[]) as market
        """,
        owner,
        markets,
    )
    proposals = db.rows("select id, market from public.trade_proposals where user_id = %s", owner)
    first = db.claim_parameters(owner, proposals[0][0])
    return [
        first
        | {
            "p_proposal_id": proposal,
            "p_attempt_id": uuid4(),
            "p_request_body": body(proposal, market, "buy", Decimal("0.00019"), Decimal(50000)),
        }
        for proposal, market in proposals
    ]


def _granted(db: TestDatabase) -> int:
    return int(db.one("select count(*) from public.trade_executions"))


def test_what_another_user_keeps_open_does_not_delay_a_halt(db: TestDatabase, service: Caller) -> None:
    """Somebody's transaction that holds their own lock, gate or rows and never ends halts nobody's halt."""
    owner = db.owner()
    proposal = db.proposal(owner)
    themselves, somebody = db.as_user(owner), db.as_owner_of_the_schema()
    held: list[tuple[Caller, Callable[[], object]]] = [
        (somebody, partial(take, somebody, "user claims", owner)),
        (somebody, partial(take, somebody, "user gate", owner, shared=True)),
        (themselves, partial(themselves.call, "set_trading_state", p_state="REDUCE_ONLY")),
        (themselves, partial(themselves.call, "decline_proposal", p_proposal_id=proposal)),
        (
            somebody,
            partial(
                somebody.rows, "select from public.trading_policies where user_id = %s for update", owner
            ),
        ),
    ]
    for holder, hold in held:
        open_trading(db)
        with transaction(holder):
            hold()

            answer = service.call("halt_trading", p_reason="nobody is in the way")

            assert answer["trading_state"] == "HALTED"


HALTS: dict[str, Callable[[Caller, UUID], Any]] = {
    "halt_trading": lambda caller, _: caller.call("halt_trading", p_reason="a test"),
    "set_trading_controls": lambda caller, _: caller.call(
        "set_trading_controls", p_changes={"trading_state": "HALTED", "reason": "a test"}
    ),
    "set_trading_state": lambda caller, _: caller.call("set_trading_state", p_state="HALTED"),
    "controls edited": lambda caller, _: caller.connection.execute(
        "update public.trading_controls set trading_state = 'HALTED' where singleton"
    ),
    "mode edited": lambda caller, _: caller.connection.execute(
        "update public.trading_controls set mode = 'dry_run' where singleton"
    ),
    "ceiling edited": lambda caller, _: caller.connection.execute(
        "update public.trading_controls set max_order_eur = 1 where singleton"
    ),
    "policy edited": lambda caller, owner: caller.connection.execute(
        "update public.trading_policies set trading_state = 'HALTED' where user_id = %s", (owner,)
    ),
    "policy deleted": lambda caller, owner: caller.connection.execute(
        "delete from public.trading_policies where user_id = %s", (owner,)
    ),
    "owner removed": lambda caller, owner: caller.connection.execute(
        "delete from public.trading_owners where user_id = %s", (owner,)
    ),
}


@pytest.mark.parametrize("halt", HALTS)
def test_a_halt_waits_for_an_open_claim_and_holds_for_the_next(
    db: TestDatabase, service: Caller, halt: str
) -> None:
    """By RPC or by an edit in the dashboard: it answers after the claim that is under way, never before."""
    owner = db.owner()
    halting = (
        db.as_user(owner)
        if halt == "set_trading_state"
        else db.as_service()
        if halt in ("halt_trading", "set_trading_controls", "owner removed")
        else db.as_owner_of_the_schema()
    )
    first, second = db.proposal(owner), db.proposal(owner, market="ETH-EUR")
    next_claim = db.claim_parameters(owner, second)
    service.connection.execute("begin")
    assert db.claim(service, owner, first)["outcome"] == "claimed"

    with background(partial(HALTS[halt], halting, owner)) as under_way:
        until_it_waits(db, halting, under_way)
        service.connection.execute("commit")
        under_way.result()

    answer = service.outcome("claim_execution", **next_claim)
    if halt == "owner removed":
        assert isinstance(answer, Refused)
        assert answer.code == "NOT_AN_OWNER"
    else:
        assert answer["outcome"] == "refused"
        assert failed_codes(answer) & {
            "TRADING_HALTED",
            "MODE_MISMATCH",
            "ACCOUNT_LIMIT_EXHAUSTED",
            "POLICY_INVALID",
        }


def test_an_open_claim_delays_a_halt_at_most_to_its_own_time_out(db: TestDatabase, service: Caller) -> None:
    """A claim that hangs is cancelled by its time-out: then the halt answers, and nothing was claimed."""
    owner = db.owner()
    hanging, halting = db.as_service(), db.as_service()
    parameters = db.claim_parameters(owner, db.proposal(owner))
    hanging.connection.execute("select set_config('statement_timeout', %s, false)", (str(_CLAIM_LIMIT_MS),))
    names = ", ".join(f"{name} => %({name})s" for name in parameters)

    def hang() -> None:
        with pytest.raises(psycopg.errors.QueryCanceled):
            hanging.connection.execute(
                f"select public.claim_execution({names}), pg_sleep(60)".encode(),
                _adapted(parameters),
            )

    with background(hang) as claim:
        _until_it_holds_the_gate(db, hanging)
        halting.call("halt_trading", p_reason="a claim hangs")
        claim.result()

    assert _granted(db) == 0
    assert failed_codes(db.claim(service, owner, db.proposal(owner))) == {"TRADING_HALTED"}


def _adapted(parameters: dict[str, object]) -> dict[str, object]:
    return {
        name: psycopg.types.json.Jsonb(value) if isinstance(value, list) else value
        for name, value in parameters.items()
    }


def _until_it_holds_the_gate(db: TestDatabase, caller: Caller) -> None:
    deadline = time.monotonic() + 5
    while not db.one(
        """
        select exists (
            select from pg_catalog.pg_locks
            where pid = %s and granted and locktype = 'advisory'
                and classid::bigint = interlock.lock_class('global gate')
        )
        """,
        caller.connection.info.backend_pid,
    ):
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_claim_is_turned_away_while_a_halt_is_being_written(db: TestDatabase, service: Caller) -> None:
    """Between the halt's lock and its answer no claim slips through: it is told to ask again."""
    owner = db.owner()
    proposal = db.proposal(owner)
    halting = db.as_service()
    halting.connection.execute("begin")
    halting.call("halt_trading", p_reason="not yet committed")

    assert db.claim(service, owner, proposal)["outcome"] == "busy"

    halting.connection.execute("rollback")
    assert db.claim(service, owner, proposal)["outcome"] == "claimed"


def test_the_controls_wait_for_the_global_gate_whatever_else_is_held(
    db: TestDatabase, service: Caller
) -> None:
    """A user's gate, or a record earlier in the transaction, is no excuse for an edit of the controls."""
    execution = claimed(db, service)
    owner = db.owner()
    claiming, editing = db.as_owner_of_the_schema(), db.as_owner_of_the_schema()
    editing.connection.execute("set lock_timeout = '200ms'")
    with transaction(claiming):
        take(claiming, "global gate", shared=True)
        for before in (
            lambda: take(editing, "user gate", owner),
            lambda: record(editing, execution, "placed", p_order=order(execution)),
        ):
            editing.connection.execute("begin")
            before()
            with pytest.raises(psycopg.errors.LockNotAvailable):
                editing.connection.execute(
                    "update public.trading_controls set mode = 'dry_run' where singleton"
                )
            editing.connection.execute("rollback")


# Loosening


def test_loosening_the_controls_needs_their_current_version(db: TestDatabase, service: Caller) -> None:
    """A halt needs no version; lifting it, or any other change, is refused to whoever has not looked."""
    loosened: list[dict[str, object]] = [
        {"trading_state": "ACTIVE"},
        {"max_order_eur": "5"},
        {"mode": "dry_run"},
        {"trading_state": "HALTED", "max_order_eur": "5"},
    ]
    stale = db.one("select version from public.trading_controls")
    service.call("set_trading_controls", p_changes={"trading_state": "REDUCE_ONLY"})
    halted = service.call("set_trading_controls", p_changes={"trading_state": "HALTED", "reason": "a test"})
    for changes in loosened:
        for version in (stale, None):
            with pytest.raises(Refused, match="STALE_VERSION"):
                service.call("set_trading_controls", p_changes=changes, p_version=version)
    assert service.call("halt_trading", p_reason="again")["trading_state"] == "HALTED"

    current = service.call("halt_trading", p_reason="and again")["version"]
    lifted = service.call(
        "set_trading_controls", p_changes={"trading_state": "ACTIVE", "reason": "looked"}, p_version=current
    )

    assert (lifted["trading_state"], lifted["reason"]) == ("ACTIVE", "looked")
    assert int(lifted["version"]) > int(current) > int(halted["version"])


def test_a_halt_on_a_halt_is_seen_before_trading_goes_on(db: TestDatabase, service: Caller) -> None:
    """Whoever resumes knowing of one halt alone is refused, and what stands names every reason, each once."""
    execution = claimed(db, service)
    known = service.call("halt_trading", p_reason="lunch")
    record(service, execution, "placed", p_order=order(execution, filled="0.001"))
    _refused_as_stale(service, known["version"])

    repeated = service.call("halt_trading", p_reason="lunch")
    again = service.call("halt_trading", p_reason="lunch")

    filled_more = f"execution {execution['id']} filled more than was ordered"
    assert repeated["reason"] == again["reason"] == f"lunch; {filled_more}"
    _refused_as_stale(service, repeated["version"])
    edited = service.call("set_trading_controls", p_changes={"trading_state": "HALTED"})
    _refused_as_stale(service, again["version"])
    told = service.call("set_trading_controls", p_changes={"reason": f"lunch; {filled_more}; Ada looks"})
    assert told["reason"] == f"lunch; {filled_more}; Ada looks"
    _resumed(service, told["version"])
    assert db.one("select reason from public.trading_controls") == "looked"
    assert int(known["version"]) < int(repeated["version"]) < int(again["version"]) < int(edited["version"])


def _refused_as_stale(caller: Caller, version: object) -> None:
    with pytest.raises(Refused, match="STALE_VERSION"):
        _resumed(caller, version)


def _resumed(caller: Caller, version: object) -> None:
    caller.call(
        "set_trading_controls", p_changes={"trading_state": "ACTIVE", "reason": "looked"}, p_version=version
    )


def test_an_owner_resumes_only_what_stands(db: TestDatabase, service: Caller) -> None:
    """Halted by hand, and by itself meanwhile: the version is another, and both reasons are named once."""
    markets = [f"X{number}-EUR" for number in range(3)]
    owner = db.owner({**POLICY, "allowlist": markets})
    caller = db.as_user(owner)
    db.advance(timedelta(seconds=1))
    executions = [claimed(db, service, owner, market=market) for market in markets]
    known = caller.call("set_trading_state", p_state="HALTED")
    for execution in executions:
        record(service, execution, "unknown")

    halted = [service.call("halt_failing_owners")["halted"] for _ in range(2)]

    assert [len(owners) for owners in halted] == [1, 0]
    with pytest.raises(Refused, match="STALE_VERSION"):
        caller.call("set_trading_state", p_state="ACTIVE", p_version=known["version"])
    again = caller.call("set_trading_state", p_state="HALTED")
    assert again["state_reason"] == "set by the owner; three executions of unknown fate within 60 minutes"
    assert int(again["version"]) == int(known["version"]) + 2
    lifted = caller.call("set_trading_state", p_state="ACTIVE", p_version=again["version"])
    assert (lifted["trading_state"], lifted["state_reason"]) == ("ACTIVE", "set by the owner")


def test_no_halt_is_refused_for_its_words(db: TestDatabase, service: Caller) -> None:
    """None, many, or ones that look like several: it is halted, and what can be kept of them is."""
    owner = db.as_user(db.owner())
    for words, kept in (
        (None, "no reason was given"),
        (" " * 600 + "x", "no reason was given"),
        ("ill " * 200, ("ill " * 200)[:499]),
    ):
        halted = service.call("halt_trading", p_reason=words)
        assert halted["trading_state"] == "HALTED"
        assert halted["reason"].endswith(kept)
    for words, kept in (
        (None, "set by the owner"),
        (" ", "set by the owner"),
        ("ill; on holiday", "set by the owner: ill, on holiday"),
        ("x" * 5000, f"set by the owner: ill, on holiday; set by the owner: {'x' * 400}"),
    ):
        assert owner.call("set_trading_state", p_state="HALTED", p_reason=words)["state_reason"] == kept


def test_reasons_add_up_until_trading_is_loosened(db: TestDatabase, service: Caller) -> None:
    """However many there are: the first ones and the last are named, and the audit has them all."""
    reasons = [f"reason {number} {'x' * 200}" for number in range(40)]
    service.call(
        "set_trading_controls", p_changes={"trading_state": "REDUCE_ONLY", "reason": "a wild market"}
    )
    for reason in reasons:
        stands = service.call("halt_trading", p_reason=reason)["reason"]
        assert stands.startswith("a wild market; reason 0 ")
        assert stands.endswith(f"; {reason}")
    assert "all are in audit_events" in stands
    told = db.rows("select detail #>> '{reason,1}' from public.audit_events where event = 'CONTROLS_CHANGED'")
    assert all(any(one.endswith(reason) for (one,) in told if one) for reason in reasons)

    version = db.one("select version from public.trading_controls")
    loosened = service.call(
        "set_trading_controls",
        p_changes={"trading_state": "REDUCE_ONLY", "reason": "calmer"},
        p_version=version,
    )

    assert loosened["reason"] == "calmer"


def test_a_comparison_is_no_change_of_the_controls(db: TestDatabase) -> None:
    """reconciled_at rises every minute and must not make everybody's version stale; it never falls."""
    before = db.rows("select version, reconciled_at from public.trading_controls")

    db.do(
        "update public.trading_controls set reconciled_at = reconciled_at - interval '1 hour' where singleton"
    )

    assert db.rows("select version, reconciled_at from public.trading_controls") == before
    db.advance(timedelta(minutes=1))
    db.do("insert into interlock.market_marks values ('X-EUR', interlock.clock(), interlock.clock())")
    db.as_service().call(
        "compare_orders",
        p_market="X-EUR",
        p_read_started_at=db.now,
        p_read_from_ms=0,
        p_read_to_ms=db.now_ms,
        p_orders=[],
    )
    assert db.rows("select version, reconciled_at from public.trading_controls") == [(before[0][0], db.now)]


def test_a_comparison_that_nobody_made_is_in_the_audit(db: TestDatabase) -> None:
    """Who sets reconciled_at by hand opens live trading: that is a change of the controls like any other."""
    version = db.one("select version from public.trading_controls")
    db.advance(timedelta(hours=1))
    db.do("update public.trading_controls set reconciled_at = interlock.clock() where singleton")

    assert db.one("select version from public.trading_controls") == version + 1
    actor, changes = db.rows(
        "select actor, detail from public.audit_events where event = 'CONTROLS_CHANGED' and at = %s", db.now
    )[0]
    assert actor == db.one("select session_user::text")
    assert [datetime.fromisoformat(at) for at in changes["reconciled_at"]] == [NOON, db.now]


def test_an_owner_tightens_freely_and_loosens_with_the_current_version(db: TestDatabase) -> None:
    """The owner's own state: HALTED at once, ACTIVE only from what was last seen."""
    owner = db.owner()
    caller = db.as_user(owner)
    tightened = caller.call("set_trading_state", p_state="REDUCE_ONLY", p_version=-1)
    halted = caller.call("set_trading_state", p_state="HALTED")
    for version in (None, tightened["version"]):
        for state in ("ACTIVE", "REDUCE_ONLY"):
            with pytest.raises(Refused, match="STALE_VERSION"):
                caller.call("set_trading_state", p_state=state, p_version=version)
    assert caller.call("set_trading_state", p_state="HALTED")["state_reason"] == "set by the owner"
    halted = caller.call("set_trading_state", p_state="HALTED")

    lifted = caller.call("set_trading_state", p_state="ACTIVE", p_version=halted["version"])

    assert (tightened["trading_state"], halted["trading_state"]) == ("REDUCE_ONLY", "HALTED")
    assert lifted["trading_state"] == "ACTIVE"


def test_the_stricter_of_both_states_holds(db: TestDatabase, service: Caller) -> None:
    """REDUCE_ONLY, whoever set it, refuses buys and lets sells pass; HALTED refuses both."""
    for everybodys, own, buys, sells in [
        ("ACTIVE", "REDUCE_ONLY", {"REDUCE_ONLY"}, set[str]()),
        ("REDUCE_ONLY", "ACTIVE", {"REDUCE_ONLY"}, set[str]()),
        ("REDUCE_ONLY", "HALTED", {"TRADING_HALTED"}, {"TRADING_HALTED"}),
        ("HALTED", "ACTIVE", {"TRADING_HALTED"}, {"TRADING_HALTED"}),
    ]:
        open_trading(db)
        owner = db.owner()
        db.do("update public.trading_controls set trading_state = %s where singleton", everybodys)
        db.do("update public.trading_policies set trading_state = %s where user_id = %s", own, owner)

        for side, codes in (("buy", buys), ("sell", sells)):
            answer = db.claim(service, owner, db.proposal(owner, side=side))
            assert (failed_codes(answer), answer["outcome"]) == (codes, "refused" if codes else "claimed")


def test_a_policy_change_does_not_lift_a_halt(db: TestDatabase) -> None:
    """An owner who edits limits while halted stays halted."""
    owner = db.owner()
    caller = db.as_user(owner)
    caller.call("set_trading_state", p_state="HALTED")

    assert (
        caller.call("set_trading_policy", p_policy={**POLICY, "min_confidence": 1})["trading_state"]
        == "HALTED"
    )


# Halts by themselves


def test_three_unknown_fates_in_an_hour_halt_their_owner(db: TestDatabase, service: Caller) -> None:
    """Only a person lifts it, and then the count begins anew; nobody else is halted."""
    owner, other = db.owner(), db.owner()
    markets = iter([f"X{number}-EUR" for number in range(9)])
    db.as_user(owner).call(
        "set_trading_policy", p_policy={**POLICY, "allowlist": [f"X{n}-EUR" for n in range(9)]}
    )

    db.advance(timedelta(seconds=1))

    def unknown() -> None:
        record(service, claimed(db, service, owner, market=next(markets)), "unknown")

    unknown()
    unknown()
    assert service.call("halt_failing_owners") == {"halted": []}
    unknown()
    (halted,) = service.call("halt_failing_owners")["halted"]
    assert halted["user_id"] == str(owner)
    states = dict(db.rows("select user_id, trading_state from public.trading_policies"))
    assert states == {owner: "HALTED", other: "ACTIVE"}

    version = db.one("select version from public.trading_policies where user_id = %s", owner)
    db.as_user(owner).call("set_trading_state", p_state="ACTIVE", p_version=version)
    assert service.call("halt_failing_owners") == {"halted": []}


def test_five_clocks_that_are_off_halt_their_owner_also_in_approvals_of_one_proposal(
    db: TestDatabase, service: Caller
) -> None:
    """A repeated refusal is stored once, and each time of the last hour counts; older ones do not."""
    owner = db.owner()
    proposal = db.proposal(owner, expires_at=db.now + timedelta(hours=3))

    def refused(minutes: int) -> None:
        db.advance(timedelta(minutes=minutes))
        ahead = db.now_ms + 2001
        assert db.claim(service, owner, proposal, p_access_timestamp=ahead)["outcome"] == "refused"

    for _ in range(5):
        refused(16)
    assert service.call("halt_failing_owners") == {"halted": []}
    refused(11)
    (halted,) = service.call("halt_failing_owners")["halted"]
    assert halted["reason"] == "five times within 60 minutes a clock was off (CLOCK_SKEW or 304)"

    state = "select version from public.trading_policies where user_id = %s"
    db.as_user(owner).call("set_trading_state", p_state="ACTIVE", p_version=db.one(state, owner))
    refused(1)
    assert service.call("halt_failing_owners") == {"halted": []}


def test_who_loosens_while_a_halt_waits_is_not_halted_for_what_was_before(
    db: TestDatabase, service: Caller
) -> None:
    """The count begins anew with the loosening, also for a run that had counted already."""
    markets = [f"X{number}-EUR" for number in range(3)]
    owner = db.owner({**POLICY, "allowlist": markets})
    loosening = db.as_user(owner)
    db.advance(timedelta(seconds=1))
    for market in markets:
        record(service, claimed(db, service, owner, market=market), "unknown")
    version = loosening.call("set_trading_state", p_state="REDUCE_ONLY")["version"]
    db.advance(timedelta(seconds=1))

    loosening.connection.execute("begin")
    loosening.call("set_trading_state", p_state="ACTIVE", p_version=version)
    with background(partial(service.call, "halt_failing_owners")) as halting:
        until_it_waits(db, service, halting)
        loosening.connection.execute("commit")
        assert halting.result() == {"halted": []}

    assert db.one("select trading_state from public.trading_policies where user_id = %s", owner) == "ACTIVE"
