"""Bad input is refused with a sentence that names the rule, and nothing changes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.types.json import Jsonb

from tests.database.contents import contents
from tests.database.harness import (
    EXCHANGE,
    FINGERPRINT,
    NOON,
    OPERATOR_ID,
    Caller,
    Refused,
    TestDatabase,
    order,
    record,
)
from tests.database.life import (
    finish_parameters,
    live,
    reservation_parameters,
    reserved,
    scanned,
)

LONG = "x" * 5000
BAD: Mapping[str, tuple[object, ...]] = {
    "text": ("", " ", LONG, "LIVE", "Btc-Eur", "NaN", "'; select 1 --", "\u202e\u00e4"),
    "uuid": (UUID(int=0), UUID(int=2**128 - 1)),
    "integer": (0, -1, 2**31 - 1, -(2**31)),
    "bigint": (0, -1, 2**63 - 1, -(2**63)),
    "numeric": ("NaN", "Infinity", "-Infinity", "0", "-1", "1e-30", "1e30"),
    "boolean": (True, False),
    "timestamp with time zone": ("infinity", "-infinity", "2999-01-01Z", "0001-01-01Z"),
    "jsonb": ("null", "5", '"x"', "[]", "{}", "[1]", "[null]", "[[]]", "[{}]", '{"a": 1}', "true", "1e400"),
}
BAD_LEAVES: tuple[object, ...] = (None, "", LONG, "NaN", "-1", "1e5", 5, 1.5, 10**40, True, [], {})

# What may be left empty. Everything else that is empty is refused.
OPTIONAL: Mapping[str, set[str]] = {
    "compare_orders": {"p_operator_ids_shown"},
    "begin_cleanup": {"p_operator_id", "p_trade_key_fingerprint"},
    "begin_execution": {
        "p_operator_id",
        "p_trade_key_fingerprint",
        "p_override_cooldown",
        "p_override_anti_flip",
    },
    # The claim refuses these with a verdict, which is kept; a sell names its value, a buy need not.
    "claim_execution": {
        "p_operator_id",
        "p_trade_key_fingerprint",
        "p_policy_hash",
        "p_override_cooldown",
        "p_override_anti_flip",
        "p_order_value",
    },
    "finish_scan": {"p_reason", "p_usage", "p_policy_hash"},
    # No halt is refused for its words.
    "halt_trading": {"p_reason"},
    "log_gpt_usage": {
        "p_scan_job_id",
        "p_purpose",
        "p_reason",
        "p_model",
        "p_prompt_tokens",
        "p_completion_tokens",
    },
    # Compared with the row: whoever does not say it does not match.
    "record_absence": {"p_trade_key_fingerprint", "p_exchange_url"},
    "record_execution_result": {"p_attempt_id", "p_response", "p_error_code"},
    "release_job_lock": {"p_error"},
    "release_reconciliation": {"p_reason"},
    "reserve_gpt_call": {"p_model"},
    "set_trading_state": {"p_version", "p_reason"},
    "verify_audit_chain": {"p_expected_head"},
}
RPCS = (
    "alarm_overdue_executions",
    "announce_cancel",
    "begin_cleanup",
    "begin_execution",
    "check_gpt_budget",
    "claim_due_scan_jobs",
    "claim_execution",
    "cleanup_expired_locks",
    "compare_orders",
    "decline_proposal",
    "end_notices",
    "expire_old_proposals",
    "finish_scan",
    "get_execution_status",
    "halt_failing_owners",
    "halt_trading",
    "log_gpt_usage",
    "record_absence",
    "record_execution_result",
    "release_job_lock",
    "release_reconciliation",
    "report_unread_markets",
    "reserve_gpt_call",
    "schedule_scan",
    "seal_audit_events",
    "set_trading_controls",
    "set_trading_policy",
    "set_trading_state",
    "settle_by_hand",
    "stop_watching",
    "take_notices",
    "verify_audit_chain",
)


@dataclass(frozen=True)
class Desk:
    """A database in the middle of everything, and for each RPC a caller and parameters that it accepts."""

    db: TestDatabase
    callers: Mapping[str, Caller]
    accepted: Mapping[str, Mapping[str, object]]
    types: Mapping[str, Mapping[str, str]]

    def ask(self, rpc: str, changes: Mapping[str, object]) -> Any:
        """Call an RPC with changed parameters in a transaction that is rolled back. Raises Refused."""
        caller = self.callers[rpc]
        types = self.types[rpc]
        parameters = {**self.accepted[rpc], **changes}
        query = sql.SQL("select public.{}({})").format(
            sql.Identifier(rpc),
            sql.SQL(", ").join(
                sql.SQL("{} => %s::" + types[name]).format(sql.Identifier(name)) for name in parameters
            ),
        )
        values = [_sent(value, types[name]) for name, value in parameters.items()]
        with caller.connection.transaction(force_rollback=True):
            try:
                return caller.connection.execute(query, values).fetchall()[0][0]
            except psycopg.Error as error:
                diagnostic = error.diag
                raise Refused(
                    diagnostic.sqlstate or "",
                    diagnostic.message_primary or str(error),
                    diagnostic.message_detail,
                ) from error


def _sent(value: object, kind: str) -> object:
    if kind == "jsonb" and value is not None and not isinstance(value, str):
        return json.dumps(value)
    return value


@pytest.fixture(scope="module")
def desk(shared_db: TestDatabase) -> Desk:
    """A lease with a reservation, a pending proposal, a claimed execution and one to be settled."""
    db = shared_db
    service = db.as_service()
    owner = db.owner()
    themselves = db.as_user(owner)
    lease = scanned(db, service, owner)
    reservation = reserved(service, lease)
    claimed = db.claim(service, owner, db.proposal(owner, market="ETH-EUR"))["execution"]
    pending = db.proposal(owner)
    unknown = db.claim(service, other := db.owner(), db.proposal(other))["execution"]
    record(service, unknown, "unknown")
    service.call(
        "begin_cleanup",
        p_instance_id="cleanup",
        p_mode="live",
        p_operator_id=OPERATOR_ID,
        p_trade_key_fingerprint=FINGERPRINT,
        p_limit=1,
    )
    db.do("insert into interlock.market_marks values ('OLD-EUR', interlock.clock(), interlock.clock())")
    began = int(claimed["access_timestamp"]) + 5000 + 60_000
    account: dict[str, object] = {
        "p_mode": "live",
        "p_operator_id": OPERATOR_ID,
        "p_trade_key_fingerprint": FINGERPRINT,
    }
    accepted: dict[str, dict[str, object]] = {
        "alarm_overdue_executions": {},
        "announce_cancel": {"p_execution_id": unknown["id"], "p_order_id": "an-order"},
        "begin_cleanup": account | {"p_instance_id": "cleanup", "p_limit": 10},
        "begin_execution": account
        | {
            "p_user_id": owner,
            "p_proposal_id": pending,
            "p_override_cooldown": False,
            "p_override_anti_flip": False,
        },
        "check_gpt_budget": {"p_user_id": owner, "p_daily": 5, "p_hourly": 5},
        "claim_due_scan_jobs": {"p_instance_id": "worker", "p_limit": 5},
        "claim_execution": db.claim_parameters(owner, pending),
        "cleanup_expired_locks": {},
        "compare_orders": {
            "p_market": "ETH-EUR",
            "p_read_started_at": NOON.isoformat(),
            "p_read_from_ms": db.now_ms - 25 * 3_600_000,
            "p_read_to_ms": db.now_ms,
            "p_orders": [order(claimed)],
            "p_operator_ids_shown": True,
        },
        "decline_proposal": {"p_proposal_id": pending},
        "expire_old_proposals": {},
        "finish_scan": finish_parameters(lease, reservation),
        "get_execution_status": {"p_user_id": owner},
        "halt_failing_owners": {},
        "halt_trading": {"p_reason": "a test"},
        "log_gpt_usage": {
            "p_id": uuid4(),
            "p_user_id": owner,
            "p_scan_job_id": lease["id"],
            "p_purpose": "scan_proposal",
            "p_status": "SKIPPED",
            "p_reason": "a test",
            "p_model": "a-model",
            "p_prompt_tokens": 0,
            "p_completion_tokens": 0,
        },
        "record_absence": {
            "p_execution_id": claimed["id"],
            "p_trade_key_fingerprint": FINGERPRINT,
            "p_exchange_url": EXCHANGE,
            "p_run_started_at": NOON.isoformat(),
            "p_began_ms": began,
            "p_ended_ms": began + 100,
        },
        "record_execution_result": {
            "p_execution_id": claimed["id"],
            "p_actor": "execute",
            "p_attempt_id": claimed["attempt_id"],
            "p_outcome": "placed",
            "p_order": order(claimed),
            "p_response": {"http_status": "200", "body": {}},
            "p_error_code": None,
        },
        "release_job_lock": {
            "p_scan_job_id": lease["id"],
            "p_lock_token": lease["lock_token"],
            "p_minutes": 5,
            "p_error": None,
        },
        "release_reconciliation": {"p_execution_id": unknown["id"], "p_reason": "unreadable"},
        "reserve_gpt_call": reservation_parameters(lease, uuid4()),
        "schedule_scan": {"p_enabled": True},
        "seal_audit_events": {"p_limit": 10},
        "take_notices": {"p_limit": 10},
        "end_notices": {"p_notices": ["HALTED everybody"]},
        "set_trading_controls": {
            "p_changes": {
                "trading_state": "REDUCE_ONLY",
                "reason": "a test",
                "mode": "live",
                "operator_id": 8,
                "trade_key_fingerprint": "f" * 16,
                "account_is_dedicated": True,
                "max_order_eur": "100",
                "max_daily_value_eur": "1000",
                "max_daily_gpt_calls": 10,
                "max_daily_gpt_tokens": "10",
            },
            "p_version": db.one("select version from public.trading_controls"),
        },
        "set_trading_policy": {
            "p_policy": db.one("select policy from public.trading_policies where user_id = %s", owner)
        },
        "set_trading_state": {"p_state": "HALTED", "p_version": 1, "p_reason": "a test"},
        "settle_by_hand": {
            "p_execution_id": unknown["id"],
            "p_status": "FILLED",
            "p_who": "the operator",
            "p_reason": "a test",
            "p_evidence": order(unknown),
        },
        "report_unread_markets": {"p_unread": {"OLD-EUR": "REFUSED"}},
        "stop_watching": {"p_market": "OLD-EUR", "p_who": "the operator", "p_reason": "delisted"},
        "verify_audit_chain": {"p_from": 1, "p_expected_head": None, "p_limit": 10},
    }
    owners = {"decline_proposal", "schedule_scan", "set_trading_policy", "set_trading_state"}
    callers = {rpc: themselves if rpc in owners else service for rpc in accepted}
    types: dict[str, dict[str, str]] = {rpc: {} for rpc in accepted}
    for rpc, name, kind in db.rows(
        """
        select routine.proname, argument.name, format_type(argument.type, null)
        from pg_proc as routine
        cross join lateral unnest(routine.proargnames, routine.proargtypes::oid[]) as argument (name, type)
        where routine.pronamespace = 'public'::regnamespace
        """
    ):
        types.setdefault(rpc, {})[name] = kind
    return Desk(db, callers, accepted, types)


def test_every_rpc_is_tried(desk: Desk) -> None:
    """An RPC or parameter that a migration adds fails this test until it is tried here."""
    found = desk.db.rows(
        "select proname, proargnames from pg_proc where pronamespace = 'public'::regnamespace"
    )
    assert {name: set(arguments or []) for name, arguments in found} == {
        name: set(parameters) for name, parameters in desk.accepted.items()
    }
    assert sorted(desk.accepted) == list(RPCS)


@pytest.mark.parametrize("rpc", RPCS)
def test_what_is_right_is_answered(desk: Desk, rpc: str) -> None:
    """Otherwise a refusal of what is wrong would prove nothing."""
    answer = desk.ask(rpc, {})
    assert not isinstance(answer, dict) or answer.get("outcome") not in ("refused", "busy", "lease_lost"), (
        answer
    )


@pytest.mark.parametrize("rpc", RPCS)
def test_what_is_missing_is_refused(desk: Desk, rpc: str) -> None:
    """Each parameter that a call needs, left empty: a sentence with HTTP status 4xx, and no row changes."""
    before = contents(desk.db)
    for name in desk.accepted[rpc]:
        if name in OPTIONAL.get(rpc, set()):
            desk.ask(rpc, {name: None})
            continue
        with pytest.raises(Refused) as refused:
            desk.ask(rpc, {name: None})
        assert _is_a_sentence(refused.value), (name, refused.value)
    assert contents(desk.db) == before


@pytest.mark.parametrize("rpc", RPCS)
def test_no_argument_makes_an_internal_error(desk: Desk, rpc: str) -> None:
    """Whatever a parameter holds, the call is answered or refused with a sentence: never SQL's own words."""
    types = desk.types[rpc]
    before = contents(desk.db)
    internal = []
    for name, good in desk.accepted[rpc].items():
        bad: list[object] = list(BAD[types[name]])
        if types[name] == "jsonb":
            bad += [json.dumps(changed) for changed in _spoiled(good)]
        for value in bad:
            try:
                desk.ask(rpc, {name: value})
            except Refused as refused:
                if not _is_a_sentence(refused):
                    internal.append((name, value, refused))
    assert internal == []
    assert contents(desk.db) == before


def _is_a_sentence(refused: Refused) -> bool:
    return refused.sqlstate.startswith("PT4") and 10 < len(refused.detail or "") < 400


def _spoiled(document: object) -> Iterator[object]:
    """A document with one leaf or branch replaced, left out, or one too many; of a list, inside its first."""
    if isinstance(document, dict):
        for name, value in document.items():
            yield {key: kept for key, kept in document.items() if key != name}
            for bad in (*BAD_LEAVES, *_spoiled(value)):
                yield {**document, name: bad}
        yield {**document, "unknown": 1}
    elif isinstance(document, list):
        yield [*document, *document]
        for place, value in enumerate(document):
            for bad in (*BAD_LEAVES, *_spoiled(value)) if place == 0 else BAD_LEAVES:
                yield [*document[:place], bad, *document[place + 1 :]]


@pytest.mark.parametrize(
    ("rpc", "changes", "why"),
    [
        ("claim_execution", {"p_mode": "LIVE"}, "dry_run or live"),
        ("claim_execution", {"p_order_value": "NaN"}, "an amount in EUR"),
        ("claim_execution", {"p_order_value": "Infinity"}, "an amount in EUR"),
        ("claim_execution", {"p_order_value": "-1"}, "an amount in EUR"),
        ("claim_execution", {"p_access_timestamp": 1772452800}, "is in ms"),
        ("claim_execution", {"p_access_window_ms": 60000}, "3000 to 10000"),
        ("claim_execution", {"p_market_checks": "{}"}, "a list of verdicts"),
        ("claim_execution", {"p_request_body": "[]"}, "JSON object"),
        ("claim_execution", {"p_request_body": "{"}, "must be JSON"),
        ("claim_execution", {"p_request_body": LONG}, "short ASCII text"),
        ("claim_due_scan_jobs", {"p_instance_id": ""}, "1 to 200 characters"),
        ("claim_due_scan_jobs", {"p_limit": 0}, "1 to 100 jobs"),
        ("check_gpt_budget", {"p_daily": -1}, "0 or more"),
        ("compare_orders", {"p_read_started_at": "2999-01-01Z"}, "in the future"),
        ("compare_orders", {"p_orders": "[{}]"}, "an object with an orderId"),
        ("decline_proposal", {"p_proposal_id": UUID(int=0)}, "no such proposal"),
        ("log_gpt_usage", {"p_prompt_tokens": -1}, "0 or more"),
        ("log_gpt_usage", {"p_status": "skipped"}, "SUCCEEDED, FAILED, RELEASED or SKIPPED"),
        ("record_execution_result", {"p_outcome": "PLACED"}, "placed, rejected, not_placed or unknown"),
        ("record_execution_result", {"p_outcome": "rejected", "p_attempt_id": UUID(int=0)}, "that claimed"),
        ("release_job_lock", {"p_minutes": -1}, "0 to 10080 minutes"),
        ("set_trading_controls", {"p_changes": '{"max_order_eur": "NaN"}'}, "order ceiling is an amount"),
        ("set_trading_controls", {"p_changes": '{"mode": "LIVE"}'}, "mode is known"),
        ("set_trading_controls", {"p_changes": '{"operator_id": null}'}, "live names operator and key"),
        ("set_trading_controls", {"p_changes": '{"operator_id": 7.5}'}, "bigint"),
        ("set_trading_controls", {"p_changes": '{"version": 1}'}, "version is not a control"),
        ("set_trading_controls", {"p_changes": '{"max_order_eur": null}'}, "max_order_eur must not be empty"),
        ("set_trading_policy", {"p_policy": '{"allowlist": ["btc-eur"]}'}, 'such as "BTC-EUR"'),
        (
            "set_trading_policy",
            {"p_policy": '{"min_confidence": 101}'},
            "min_confidence must be from 0 to 100",
        ),
        ("set_trading_policy", {"p_policy": '{"cooldown": 1}'}, "cooldown is not a field of a policy"),
        ("set_trading_policy", {"p_policy": '{"max_spread_percent": "1e1"}'}, "a decimal in a string"),
        ("set_trading_policy", {"p_policy": '{"limits": {"order": {"min_eur": 6}}}'}, "decimal in a string"),
        ("set_trading_state", {"p_state": "active"}, "ACTIVE, REDUCE_ONLY or HALTED"),
        ("settle_by_hand", {"p_who": ""}, "who settles and why"),
        ("settle_by_hand", {"p_status": "DONE"}, "settled as FILLED, CANCELED, REJECTED or NOT_PLACED"),
    ],
)
def test_the_sentence_names_the_rule(desk: Desk, rpc: str, changes: dict[str, object], why: str) -> None:
    """Wrong case, exponent, NaN, infinity, negative, zero, empty, over-long, future: each with its reason."""
    with pytest.raises(Refused) as refused:
        desk.ask(rpc, changes)
    assert refused.value.sqlstate in ("PT400", "PT404")
    assert why in (refused.value.detail or "")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"amount_quote": "NaN"}, "a buy carries whole cents of quote"),
        ({"amount_quote": "10.001"}, "a buy carries whole cents of quote"),
        ({"amount_quote": "-10"}, "a buy carries whole cents of quote"),
        ({"amount_quote": "ten"}, "numeric"),
        ({"reference_price": "Infinity"}, "amounts are finite"),
        ({"reference_price": "0"}, "reference price is a price"),
        ({"confidence": "101"}, "confidence is 0 to 100"),
        ({"market": "btc-eur"}, "market is named"),
        ({"side": "BUY"}, "side is known"),
        ({"rationale": LONG}, "rationale is short"),
        ({"id": None}, "id must not be empty"),
        ({"id": "7"}, "uuid"),
    ],
)
def test_a_proposal_that_breaks_a_rule_is_refused_with_it(
    desk: Desk, changes: dict[str, object], why: str
) -> None:
    """What the model made of it cannot be stored, and the scan is told which rule it broke."""
    good = desk.accepted["finish_scan"]["p_proposal"]
    assert isinstance(good, dict)
    with pytest.raises(Refused, match="PT400 INVALID_PROPOSAL") as refused:
        desk.ask("finish_scan", {"p_proposal": good | changes})
    assert why in (refused.value.detail or "")


def test_a_field_named_twice_is_no_order(desk: Desk) -> None:
    """Of two amounts the database reads the last and the exchange perhaps the first: neither is sent."""
    body = desk.accepted["claim_execution"]["p_request_body"]
    assert isinstance(body, str)
    with pytest.raises(Refused, match="names a field twice"):
        desk.ask("claim_execution", {"p_request_body": body.replace("{", '{"amount":"9",', 1)})


def test_an_access_timestamp_ahead_of_the_clock_is_refused(desk: Desk) -> None:
    """A future timestamp would move the fence into the future: CLOCK_SKEW, with the facts of both clocks."""
    answer = desk.ask("claim_execution", {"p_access_timestamp": desk.db.now_ms + 2001})
    (failed,) = (verdict for verdict in answer["checks"] if verdict["verdict"] == "FAILED")
    assert (answer["outcome"], failed["code"]) == ("refused", "CLOCK_SKEW")
    assert failed["facts"]["access_timestamp"] == str(desk.db.now_ms + 2001)


def test_an_order_that_cannot_be_read_does_not_hide_an_intruder(db: TestDatabase, service: Caller) -> None:
    """An order of ours without approval halts trading, whatever its numbers are: NaN, words, negative."""
    life = live(db, service)
    for number in ("NaN", "lots", "-1", "1e400", None):
        db.do("update public.trading_controls set trading_state = 'ACTIVE' where singleton")
        stray = order(life.execution) | {
            "orderId": str(uuid4()),
            "clientOrderId": str(uuid4()),
            "filledAmountQuote": number,
            "feePaid": number,
        }
        answer = service.call(
            "compare_orders",
            p_market="BTC-EUR",
            p_read_started_at=db.now,
            p_read_from_ms=db.now_ms - 1000,
            p_read_to_ms=db.now_ms,
            p_orders=[stray],
        )
        assert answer["new_intruders"] == [stray["orderId"]]
        assert db.one("select trading_state from public.trading_controls") == "HALTED"
    unknown = "select count(*) from public.trade_history where execution_id is null and value_eur is null"
    assert db.one(unknown) == 5, "what cannot be read is unknown, and limits count it at its most"


# By hand, in the dashboard


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        ("policy - 'cooldown_minutes'", "cooldown_minutes is missing"),
        (
            "policy || '{\"cooldown_minutes\": -1}'",
            "cooldown_minutes must be a whole number from 0 to 525600",
        ),
        ("policy || '{\"cooldown_minutes\": 1.5}'", "cooldown_minutes must be a whole number"),
        ('policy || \'{"min_confidence": "70"}\'', "min_confidence must be a number from 0 to 100"),
        ('policy || \'{"allowlist": ["BTC/EUR"]}\'', 'allowlist must name markets such as "BTC-EUR"'),
        ('policy || \'{"allowlist": ["BTC-EUR", "BTC-EUR"]}\'', "allowlist must name each market once"),
        ('policy || \'{"note": "mine"}\'', "note is not a field of a policy"),
        ("jsonb_set(policy, '{limits,order,max_eur}', '\"NaN\"')", "limits.order.max_eur must be a decimal"),
        ("jsonb_set(policy, '{limits,order,max_eur}', '\"1e3\"')", "limits.order.max_eur must be a decimal"),
        (
            "jsonb_set(policy, '{limits,order,max_eur}', '250')",
            "limits.order.max_eur must be a decimal in a string",
        ),
        ("jsonb_set(policy, '{limits,order,min_eur}', '\"251\"')", "min_eur must not be above"),
        ("jsonb_set(policy, '{limits,daily}', '[]')", "limits.daily must be an object"),
        ("'[]'", "a policy must be an object"),
    ],
)
def test_a_policy_edited_by_hand_is_refused_unless_it_is_whole(
    shared_db: TestDatabase, edit: str, why: str
) -> None:
    """The dashboard writes past every RPC, and is told in one sentence what is wrong."""
    owner = shared_db.owner()
    before = contents(shared_db)
    update = f"update public.trading_policies set policy = {edit} where user_id = %s"  # noqa: S608 - our own texts
    with pytest.raises(psycopg.errors.CheckViolation) as refused:
        shared_db.do(update, owner)
    assert why in (refused.value.diag.message_primary or "")
    assert refused.value.diag.constraint_name == "policy_is_complete_and_valid"
    assert contents(shared_db) == before


def test_a_policy_edited_by_hand_counts_as_a_change(db: TestDatabase, service: Caller) -> None:
    """A valid edit raises the version, is audited under the editor's role, and stops a claim."""
    owner = db.owner()
    proposal = db.proposal(owner)
    asked = db.claim_parameters(owner, proposal)
    db.do(
        "update public.trading_policies set policy = policy || %s where user_id = %s",
        Jsonb({"min_confidence": 75}),
        owner,
    )

    refused = service.call("claim_execution", **asked)
    assert {verdict["code"] for verdict in refused["checks"] if verdict["code"]} == {"POLICY_CHANGED"}
    assert db.one("select version from public.trading_policies where user_id = %s", owner) == 2
    assert db.rows("select actor from public.audit_events where event = 'POLICY_CHANGED'") == [("postgres",)]


def test_the_version_cannot_be_edited(db: TestDatabase) -> None:
    """Versions count changes: whatever a hand writes there, the next number is stored."""
    db.owner()
    before = db.one("select version from public.trading_controls")
    db.do("update public.trading_controls set version = 1000, reason = 'edited' where singleton")
    db.do("update public.trading_policies set version = 1000 where true")
    assert db.one("select version from public.trading_controls") == before + 1
    assert db.one("select version from public.trading_policies") == 2


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ("trading_controls", "its rows are evidence and are kept"),
        ("trade_executions", "its rows are evidence and are kept"),
        ("trade_history", "its rows are evidence and are kept"),
        ("gpt_usage_log", "its rows are evidence and are kept"),
        ("audit_events", "its rows are evidence and are kept"),
        ("audit_seals", "its rows are evidence and are kept"),
        ("trade_refusals", "its rows are evidence and are kept"),
        ("trade_proposals", "trade_executions"),
        ("scan_jobs", "trade_proposals"),
    ],
)
def test_a_row_deleted_by_hand_is_kept(db: TestDatabase, service: Caller, table: str, why: str) -> None:
    """Not by delete, not by truncate, not by a cascade: the sentence names the table and says why."""
    life = live(db, service)
    assert db.claim(service, life.owner, db.proposal(life.owner, confidence=1))["outcome"] == "refused"
    service.call("seal_audit_events")
    before = contents(db)
    for statement in ("delete from public.{} where true", "truncate public.{}", "truncate public.{} cascade"):
        with pytest.raises(psycopg.errors.Error) as refused:
            db.admin.execute(sql.SQL(statement).format(sql.Identifier(table)))
        assert refused.value.sqlstate in ("23001", "23503", "0A000"), refused.value
        if statement.startswith("delete"):
            assert table in str(refused.value)
            assert why in str(refused.value)
    assert contents(db) == before


def test_a_user_with_evidence_cannot_be_deleted(db: TestDatabase, service: Caller) -> None:
    """References to the users of Supabase restrict: evidence never loses its owner."""
    life = live(db, service)
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        db.do("delete from auth.users where id = %s", life.owner)


def test_what_may_be_deleted_by_hand_is_audited(db: TestDatabase) -> None:
    """A proposal or job without evidence, a policy, an owner: gone, and the audit says by whom."""
    owner = db.owner()
    db.proposal(owner)
    db.as_user(owner).call("schedule_scan")
    for table in ("trade_proposals", "scan_jobs", "trading_policies", "trading_owners"):
        db.admin.execute(sql.SQL("delete from public.{} where true").format(sql.Identifier(table)))
    assert db.rows(
        "select event, actor, user_id from public.audit_events where event ~ 'DELETED|REMOVED' order by event"
    ) == [
        (event, "postgres", owner)
        for event in ("OWNER_REMOVED", "POLICY_DELETED", "PROPOSAL_DELETED", "SCAN_DELETED")
    ]


# Future times


@pytest.mark.parametrize("future", ["2999-01-01Z", "infinity"])
def test_a_comparison_cannot_have_been_in_the_future(db: TestDatabase, service: Caller, future: str) -> None:
    """A slip of the hand would keep live trading open without cleanup for ever: it counts from now."""
    owner = db.owner()
    db.do("update public.trading_controls set reconciled_at = %s where singleton", future)
    assert db.one("select reconciled_at from public.trading_controls") == NOON
    db.advance(timedelta(minutes=15, seconds=1))
    refused = db.claim(service, owner, db.proposal(owner))
    assert {verdict["code"] for verdict in refused["checks"] if verdict["code"]} == {"RECONCILIATION_STALE"}


@pytest.mark.parametrize("future", ["2999-01-01Z", "infinity"])
def test_a_trade_of_the_future_counts_from_now(db: TestDatabase, service: Caller, future: str) -> None:
    """Whatever time a trade without execution claims, its cooldown ends."""
    owner = db.owner({"allowlist": ["BTC-EUR"], "cooldown_minutes": 10})
    db.do(
        "insert into public.trade_history (user_id, asset, side, amount, price, executed_at)"
        " values (%s, 'BTC', 'buy', 0.001, 50000, %s)",
        owner,
        future,
    )
    proposal = db.proposal(owner)
    refused = db.claim(service, owner, proposal)
    assert {verdict["code"] for verdict in refused["checks"] if verdict["code"]} == {"COOLDOWN_ACTIVE"}
    db.advance(timedelta(minutes=10))
    assert db.claim(service, owner, proposal)["outcome"] == "claimed"


# Time zones


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "America/Los_Angeles"])
def test_the_time_zone_of_a_session_changes_no_answer(db: TestDatabase, service: Caller, zone: str) -> None:
    """Days are UTC days: half an hour after midnight there, limits and answers are the same everywhere."""
    owner = db.owner({"allowlist": ["BTC-EUR", "ETH-EUR"], "limits": {"daily": {"trades": 1}}})
    lease = scanned(db, service, owner)
    reserved(service, lease)
    db.set_clock(NOON.replace(hour=23, minute=30))
    db.do("update public.trading_controls set reconciled_at = interlock.clock() where singleton")
    execution = db.claim(service, owner, db.proposal(owner))["execution"]
    record(service, execution, "placed", p_order=order(execution))
    db.advance(timedelta(hours=1))
    db.do("update public.trading_controls set reconciled_at = interlock.clock() where singleton")
    service.call("seal_audit_events")
    pending = db.proposal(owner, market="ETH-EUR")
    asked = db.claim_parameters(owner, pending)
    elsewhere, themselves, themselves_elsewhere = db.as_service(), db.as_user(owner), db.as_user(owner)
    for caller in (elsewhere, themselves_elsewhere):
        caller.connection.execute(sql.SQL("set timezone = {}").format(sql.Literal(zone)))

    def answers(caller: Caller) -> list[object]:
        with caller.connection.transaction(force_rollback=True):
            claim = caller.call("claim_execution", **asked)
            claim["execution"].pop("checks")
            return [
                claim,
                caller.call("get_execution_status", p_user_id=owner),
                caller.call("check_gpt_budget", p_user_id=owner, p_daily=1, p_hourly=9),
                caller.call("verify_audit_chain", p_from=1, p_expected_head=None, p_limit=1000),
                *(
                    caller.rows(f"select * from public.{view} order by 1, 2, 3")  # noqa: S608 - our own names
                    for view in ("executions_by_hour", "model_spend", "blocking_checks", "scan_health")
                ),
            ]

    here, there = answers(service), answers(elsewhere)
    assert here == there
    first = here[0]
    assert isinstance(first, dict)
    assert first["outcome"] == "claimed", "the trade of yesterday does not count today"
    assert "+00:00" in first["execution"]["claimed_at"]
    for caller in (themselves, themselves_elsewhere):
        assert "+00:00" in caller.call("schedule_scan")["next_run_at"]
