"""The claim: one execution a proposal, decided from stored rows after the locks."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from functools import partial
from uuid import UUID, uuid4

import psycopg
import pytest

from shared.fees import TAKER_FEE, rounding_room
from tests.database.acts import at_once, claimed, decided, failed_codes
from tests.database.contents import contents
from tests.database.harness import (
    MARKET_CHECKS,
    NOON,
    POLICY,
    Caller,
    Refused,
    TestDatabase,
    body,
    execution_id,
    order,
    record,
)


def test_a_claim_stores_what_will_be_sent(db: TestDatabase, service: Caller) -> None:
    """A granted claim answers with the stored bytes and timestamp, under the computed id."""
    owner = db.owner()
    proposal = db.proposal(owner)
    asked = db.claim_parameters(owner, proposal)

    answer = service.call("claim_execution", **asked)

    assert answer["outcome"] == "claimed", answer
    execution = answer["execution"]
    assert execution["id"] == str(execution_id(proposal))
    assert execution["request"]["body"] == asked["p_request_body"]
    assert execution["access_timestamp"] == str(asked["p_access_timestamp"])
    assert db.one("select status from public.trade_proposals where id = %s", proposal) == "EXECUTING"


def test_the_same_attempt_is_claimed_again_and_another_is_told_what_exists(
    db: TestDatabase, service: Caller
) -> None:
    """A lost answer is asked for again by its attempt; any other attempt learns of the execution."""
    owner = db.owner()
    proposal = db.proposal(owner)
    asked = db.claim_parameters(owner, proposal)

    first = service.call("claim_execution", **asked)
    again = service.call("claim_execution", **asked)
    other = service.call("claim_execution", **(asked | {"p_attempt_id": uuid4()}))

    assert (first["outcome"], again["outcome"], other["outcome"]) == ("claimed", "claimed", "exists")
    assert first["execution"] == again["execution"] == other["execution"]
    assert db.one("select count(*) from public.trade_executions") == 1


def test_concurrent_claims_of_one_proposal_make_one_execution(db: TestDatabase) -> None:
    """Sixteen attempts at once: one is granted, the others are told what exists."""
    owner = db.owner()
    proposal = db.proposal(owner)
    callers = [db.as_service() for _ in range(16)]
    asked = [db.claim_parameters(owner, proposal) for _ in callers]

    answers = at_once([partial(decided, *pair) for pair in zip(callers, asked, strict=True)])

    assert sorted(answer["outcome"] for answer in answers) == ["claimed"] + ["exists"] * 15


def test_concurrent_claims_never_exceed_a_daily_limit(db: TestDatabase) -> None:
    """Twelve proposals of one owner at once against five trades a day: exactly five are granted."""
    owner = db.owner({"allowlist": ["BTC-EUR"], "cooldown_minutes": 0, "limits": {"daily": {"trades": 5}}})
    markets = [f"X{number}-EUR" for number in range(12)]
    db.as_user(owner).call(
        "set_trading_policy",
        p_policy={"allowlist": markets, "cooldown_minutes": 0, "limits": {"daily": {"trades": 5}}},
    )
    proposals = [db.proposal(owner, market=market) for market in markets]
    callers = [db.as_service() for _ in proposals]
    asked = [db.claim_parameters(owner, proposal) for proposal in proposals]

    answers = at_once([partial(decided, *pair) for pair in zip(callers, asked, strict=True)])

    granted = [answer for answer in answers if answer["outcome"] == "claimed"]
    assert len(granted) == 5
    assert {
        code for answer in answers if answer["outcome"] == "refused" for code in failed_codes(answer)
    } == {"DAILY_TRADES_EXHAUSTED"}


def test_concurrent_claims_of_many_owners_never_exceed_the_ceiling(db: TestDatabase) -> None:
    """Ten owners at once against an account ceiling of 45 EUR: exactly four orders of 10 EUR."""
    db.do("update public.trading_controls set max_daily_value_eur = 45 where singleton")
    owners = [db.owner() for _ in range(10)]
    proposals = [db.proposal(owner) for owner in owners]
    callers = [db.as_service() for _ in owners]
    asked = [db.claim_parameters(owner, proposal) for owner, proposal in zip(owners, proposals, strict=True)]

    answers = at_once([partial(decided, *pair) for pair in zip(callers, asked, strict=True)])

    assert [answer["outcome"] for answer in answers].count("claimed") == 4
    assert {code for answer in answers for code in failed_codes(answer)} == {"ACCOUNT_LIMIT_EXHAUSTED"}


def test_what_a_partly_filled_order_may_still_spend_counts(db: TestDatabase, service: Caller) -> None:
    """It counts once, at the higher of what it spent and what it may still spend: here all of its 10 EUR."""
    owner = db.owner({**POLICY, "limits": {"daily": {"trades": 1000, "value_eur": "19"}}})
    execution = db.claim(service, owner, db.proposal(owner))["execution"]
    record(service, execution, "placed", p_order=order(execution, "partiallyFilled", "0.00001"))

    answer = db.claim(service, owner, db.proposal(owner, market="ETH-EUR"))

    assert (answer["outcome"], failed_codes(answer)) == ("refused", {"DAILY_VALUE_EXHAUSTED"})
    (used,) = [check["facts"]["used_eur"] for check in answer["checks"] if check["check"] == "daily_value"]
    assert Decimal(used) == 10


def test_trades_of_the_other_mode_count_for_nothing(db: TestDatabase, service: Caller) -> None:
    """A day of dry runs leaves the limits of live trading alone."""
    owner = db.owner({**POLICY, "limits": {"daily": {"trades": 1, "value_eur": "19"}}})
    db.do("update public.trading_controls set mode = 'dry_run' where singleton")
    dry = db.claim(service, owner, db.proposal(owner), p_mode="dry_run")
    db.do("update public.trading_controls set mode = 'live' where singleton")

    live = db.claim(service, owner, db.proposal(owner, market="ETH-EUR"))

    assert (dry["outcome"], live["outcome"]) == ("claimed", "claimed"), failed_codes(live)


@pytest.mark.parametrize("changed", ["reconciliation", "halt", "owner", "policy"])
def test_everything_is_decided_again_in_the_claim(db: TestDatabase, service: Caller, changed: str) -> None:
    """Whatever the function read before, the claim refuses by what is stored when it decides."""
    owner = db.owner()
    proposal = db.proposal(owner)
    asked = db.claim_parameters(owner, proposal)
    match changed:
        case "reconciliation":
            db.advance(timedelta(minutes=15, seconds=1))
            asked["p_access_timestamp"] = db.now_ms
        case "halt":
            service.call("halt_trading", p_reason="a test")
        case "owner":
            db.do("delete from public.trading_owners where user_id = %s", owner)
        case "policy":
            db.as_user(owner).call(
                "set_trading_policy", p_policy={"allowlist": ["BTC-EUR"], "cooldown_minutes": 1}
            )

    if changed == "owner":
        with pytest.raises(Refused, match="NOT_AN_OWNER"):
            service.call("claim_execution", **asked)
    else:
        code = {
            "reconciliation": "RECONCILIATION_STALE",
            "halt": "TRADING_HALTED",
            "policy": "POLICY_CHANGED",
        }[changed]
        answer = service.call("claim_execution", **asked)
        assert answer["outcome"] == "refused"
        assert code in failed_codes(answer)
        refused = db.one("select count(*) from public.audit_events where event = 'EXECUTION_REFUSED'")
        assert refused == 1
    assert db.one("select count(*) from public.trade_executions") == 0


@pytest.mark.parametrize(
    ("amount", "price", "why"),
    [
        ("0.0002", "50500.01", "above the collar"),
        ("0.0002", "50000", "spend more"),
        ("0.00019871", "50000", "spend more"),
        ("0", "50000", "above zero"),
    ],
)
def test_bytes_that_are_not_this_proposals_order_are_refused(
    db: TestDatabase, service: Caller, amount: str, price: str, why: str
) -> None:
    """A function that builds a worse order than was approved gets no claim."""
    owner = db.owner()
    proposal = db.proposal(owner)

    with pytest.raises(Refused) as refused:
        db.claim(
            service,
            owner,
            proposal,
            p_request_body=body(proposal, "BTC-EUR", "buy", Decimal(amount), Decimal(price)),
        )

    assert refused.value.sqlstate == "PT400"
    assert why in (refused.value.detail or "")
    assert db.one("select count(*) from public.trade_executions") == 0


def test_a_buy_that_leaves_just_enough_for_fee_and_rounding_is_granted(
    db: TestDatabase, service: Caller
) -> None:
    """Of 10 EUR at 50000: 0.0001987 and a quarter of a percent cost 9.96, and 4 cents are left to round."""
    owner = db.owner()
    proposal = db.proposal(owner)
    sent = body(proposal, "BTC-EUR", "buy", Decimal("0.0001987"), Decimal(50000))
    assert db.claim(service, owner, proposal, p_request_body=sent)["outcome"] == "claimed"


def test_function_and_database_reckon_with_the_same_fee(db: TestDatabase) -> None:
    """What a buy leaves for fee and rounding is written once in Python and once in SQL, and is one thing."""
    assert db.one("select interlock.taker_fee()") == TAKER_FEE
    values = [Decimal(cents) / 100 for cents in (*range(1, 6000), 25000, 10**8)]
    rooms = db.rows("select interlock.rounding_room(value) from unnest(%s::numeric[]) as value", values)
    assert [room for (room,) in rooms] == [rounding_room(value) for value in values]


def test_a_claim_needs_every_market_verdict_once_and_passed(db: TestDatabase, service: Caller) -> None:
    """A verdict that is missing, doubled, failed, undecided or waved through is a failed check."""
    owner = db.owner()
    proposal = db.proposal(owner, order_type="limit", limit_price=Decimal(50000))
    asked = db.claim_parameters(owner, proposal)
    passed = [_verdict(check, "PASSED") for check in MARKET_CHECKS]
    tried = 0
    for name in MARKET_CHECKS:
        others = [verdict for verdict in passed if verdict["check"] != name]
        for given in (
            [],
            others,
            [*passed, _verdict(name, "PASSED")],
            [*others, _verdict(name, "FAILED", "SOMETHING")],
            [*others, _verdict(name, "NOT_EVALUATED")],
            [*others, _verdict(name, "NOT_APPLICABLE")],
            [*others, _verdict(name, "passed")],
        ):
            answer = service.call("claim_execution", **(asked | {"p_market_checks": given}))
            found = {verdict["verdict"] for verdict in answer["checks"] if verdict["check"] == name}
            assert (answer["outcome"], found < {"FAILED", "NOT_EVALUATED"}) == ("refused", True), (
                name,
                given,
            )
            tried += 1

    assert db.one("select sum(times) from public.trade_refusals") == tried
    granted = service.call("claim_execution", **(asked | {"p_market_checks": passed}))
    assert granted["outcome"] == "claimed"


@pytest.mark.parametrize(
    ("side", "price", "why"),
    [("buy", "50000.01", "above the proposal's limit"), ("sell", "49999.99", "below")],
)
def test_no_order_is_sent_beyond_the_limit_of_its_proposal(
    db: TestDatabase, service: Caller, side: str, price: str, why: str
) -> None:
    """The collar leaves room on either side of a limit price; the limit leaves none."""
    owner = db.owner()
    proposal = db.proposal(owner, side, order_type="limit", limit_price=Decimal(50000))
    passed = [_verdict(check, "PASSED") for check in MARKET_CHECKS]

    with pytest.raises(Refused) as refused:
        db.claim(
            service,
            owner,
            proposal,
            p_market_checks=passed,
            p_request_body=body(proposal, "BTC-EUR", side, Decimal("0.0001"), Decimal(price)),
        )

    assert why in (refused.value.detail or "")
    assert db.one("select count(*) from public.trade_executions") == 0


def test_a_proposal_is_claimed_by_its_owner_alone(db: TestDatabase, service: Caller) -> None:
    """Another owner's claim finds no such proposal, however well it fits both policies."""
    owner, other = db.owner(), db.owner()
    with pytest.raises(Refused, match="PROPOSAL_NOT_FOUND"):
        db.claim(service, other, db.proposal(owner))
    assert db.one("select count(*) from public.trade_executions") == 0


def test_a_claim_says_which_policy_was_read(db: TestDatabase, service: Caller) -> None:
    """One that names none has judged by none."""
    owner = db.owner()
    answer = db.claim(service, owner, db.proposal(owner), p_policy_hash=None)
    assert (answer["outcome"], failed_codes(answer)) == ("refused", {"POLICY_CHANGED"})


@pytest.mark.parametrize("state", ["CLAIMED", "UNKNOWN", "OPEN", "PARTIALLY_FILLED"])
def test_a_market_waits_until_its_execution_is_settled(db: TestDatabase, service: Caller, state: str) -> None:
    """Whatever may still spend keeps the owner's next order out of that market, and out of no other."""
    owner = db.owner()
    execution = db.claim(service, owner, db.proposal(owner))["execution"]
    match state:
        case "UNKNOWN":
            record(service, execution, "unknown")
        case "OPEN":
            record(service, execution, "placed", p_order=order(execution, "new", "0"))
        case "PARTIALLY_FILLED":
            record(service, execution, "placed", p_order=order(execution, "partiallyFilled", "0.0001"))

    here = db.claim(service, owner, db.proposal(owner))
    there = db.claim(service, owner, db.proposal(owner, market="ETH-EUR"))

    assert (here["outcome"], failed_codes(here)) == ("refused", {"UNSETTLED_EXECUTION"})
    assert there["outcome"] == "claimed"


@pytest.mark.parametrize(("first", "second"), [("live", "dry_run"), ("dry_run", "live")])
def test_what_was_done_in_the_other_mode_holds_nothing_back(
    db: TestDatabase, service: Caller, first: str, second: str
) -> None:
    """No cooldown, no anti-flip and no trade of the day reaches from a dry run to an order, or back."""
    owner = db.owner({"allowlist": ["BTC-EUR"], "limits": {"daily": {"trades": 1}}})
    db.do("update public.trading_controls set mode = %s where singleton", first)
    execution = db.claim(service, owner, db.proposal(owner), p_mode=first)["execution"]
    if first == "live":
        record(service, execution, "placed", p_order=order(execution))
    db.do("update public.trading_controls set mode = %s where singleton", second)

    answer = db.claim(service, owner, db.proposal(owner, "sell"), p_mode=second)

    assert (answer["outcome"], failed_codes(answer)) == ("claimed", set())


def _verdict(check: str, verdict: str, code: str | None = None) -> dict[str, object]:
    return {"check": check, "verdict": verdict, "code": code, "facts": {}}


def test_a_repeated_refusal_is_counted_and_another_one_is_stored(db: TestDatabase, service: Caller) -> None:
    """One event for each set of failed checks, however often; the count says how often, and when last."""
    owner = db.owner()
    proposal = db.proposal(owner, confidence=10)
    reading = db.reading_parameters(owner, proposal)
    for _ in range(20):
        service.call("begin_execution", **reading)
        db.advance(timedelta(seconds=7))
    for market_checks in ([], [], [_verdict("spread", "FAILED", "SPREAD_TOO_WIDE")]):
        refused = db.claim(service, owner, proposal, p_market_checks=market_checks)
        assert refused["outcome"] == "refused"

    stored = db.rows(
        """
        select event.detail ->> 'before', refusal.times, refusal.last_at, cardinality(refusal.recent_at)
        from public.audit_events as event
        join public.trade_refusals as refusal on refusal.event_id = event.id
        where event.event = 'EXECUTION_REFUSED'
        order by event.at, refusal.times desc
        """
    )
    last = NOON + timedelta(seconds=19 * 7)
    assert stored == [
        ("market facts", 20, last, 5),
        ("claim", 2, db.now, 2),
        ("claim", 1, db.now, 1),
    ]
    assert db.one("select count(*) from public.audit_events where event = 'EXECUTION_REFUSED'") == 3
    counted = dict(db.rows("select code, refusals from public.blocking_checks"))
    assert counted == {"CONFIDENCE_TOO_LOW": 23, "SPREAD_TOO_WIDE": 1}
    for times, user in ((1, owner), (1000, uuid4())):
        with pytest.raises(psycopg.errors.RestrictViolation, match="its count only rises"):
            db.do("update public.trade_refusals set times = %s, user_id = %s where true", times, user)


def test_an_owners_approvals_have_a_pace_and_another_owners_their_own(
    db: TestDatabase, service: Caller
) -> None:
    """Sixty at once, then one every two seconds: what comes faster is told busy, and leaves no trace."""
    owner, other = db.owner(), db.owner()
    proposals = [db.proposal(owner, confidence=10) for _ in range(61)]
    readings = [db.reading_parameters(owner, proposal) for proposal in proposals]
    for reading in readings[:60]:
        assert failed_codes(service.call("begin_execution", **reading)) == {"CONFIDENCE_TOO_LOW"}
    before = contents(db)
    for _ in range(3):
        assert service.call("begin_execution", **readings[60]) == {"outcome": "busy"}
    assert contents(db) == before
    assert "checks" in service.call("begin_execution", **db.reading_parameters(other, db.proposal(other)))

    db.advance(timedelta(seconds=2))
    for reading, busy in ((readings[60], False), (readings[0], True)):
        assert (service.call("begin_execution", **reading) == {"outcome": "busy"}) is busy
    # A clock that is set back leaves nobody waiting for hours.
    db.advance(timedelta(hours=-6))
    assert "checks" in service.call("begin_execution", **readings[0])


def test_what_is_executed_is_told_at_any_pace(db: TestDatabase, service: Caller) -> None:
    """Whoever asks again and again what became of an approval is answered with it, and takes no turn."""
    owner = db.owner()
    execution = claimed(db, service, owner)
    reading = db.reading_parameters(owner, UUID(execution["proposal_id"]))
    for _ in range(65):
        assert service.call("begin_execution", **reading)["execution"]["id"] == execution["id"]
    assert "checks" in service.call("begin_execution", **db.reading_parameters(owner, db.proposal(owner)))


def test_the_access_timestamp_is_judged_by_the_databases_clock(db: TestDatabase, service: Caller) -> None:
    """At most 2 s ahead of it and half a window behind it, whatever the function found."""
    for offset_ms, code in [(2001, "CLOCK_SKEW"), (-2501, "TOO_LATE"), (2000, None), (-2500, None)]:
        owner = db.owner()
        answer = db.claim(service, owner, db.proposal(owner), p_access_timestamp=db.now_ms + offset_ms)

        assert failed_codes(answer) == ({code} if code else set())
        assert answer["outcome"] == ("refused" if code else "claimed")


def test_an_approval_that_overlaps_a_claim_is_refused_for_no_wrong_reason(
    db: TestDatabase, service: Caller
) -> None:
    """What is read before a claim commits is judged as it was then: no check fails because of that claim."""
    owner = db.owner({"allowlist": ["BTC-EUR"]})
    proposal = db.proposal(owner)
    asked = db.claim_parameters(owner, proposal)
    names = ("p_user_id", "p_proposal_id", "p_mode", "p_operator_id", "p_trade_key_fingerprint")
    overlapping = db.as_service()

    with ThreadPoolExecutor(1) as pool, db.admin.transaction():
        # The controls are the first thing that the checks read: the approval waits there, half read.
        db.do("lock table public.trading_controls in access exclusive mode")
        begun = pool.submit(
            overlapping.call,
            "begin_execution",
            **{name: asked[name] for name in names},
            p_override_cooldown=False,
            p_override_anti_flip=False,
        )
        _wait_for_a_waiter(service)
        claimed = db.claim(Caller(db.admin), owner, proposal)
    answer = begun.result()

    assert claimed["outcome"] == "claimed", claimed
    assert [verdict for verdict in answer["checks"] if verdict["verdict"] == "FAILED"] == []
    assert db.one("select count(*) from public.audit_events where event = 'EXECUTION_REFUSED'") == 0


def _wait_for_a_waiter(caller: Caller) -> None:
    for _ in range(1000):
        if caller.rows("select from pg_catalog.pg_locks where not granted"):
            return
        time.sleep(0.005)
    raise AssertionError("nobody waits for a lock")
