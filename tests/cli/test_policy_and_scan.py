"""An owner reads and sets their policy, and lets the model look now or no more."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cli.rules import FIELDS, Field, Looser
from tests.cli.conftest import CommandLine, Deployment, status
from tests.loopback import Reply

pytestmark = pytest.mark.unit

POLICIES = "/rest/v1/trading_policies"
SET = "/rest/v1/rpc/set_trading_policy"
SCAN = "/rest/v1/rpc/schedule_scan"
STANDS: dict[str, Any] = {
    "enabled": True,
    "running": False,
    "next_run_at": "2026-11-24T09:50:00+00:00",
    "last_run_at": "2026-11-24T08:50:00+00:00",
    "last_outcome": "held: nothing moves",
    "last_error": None,
    "consecutive_failures": "0",
}
ROW = {"policy": {"allowlist": ["BTC-EUR"], "cooldown_minutes": 60}, "version": "1"}


def _asked(deployment: Deployment, path: str) -> list[object]:
    return [asked.body for asked in deployment.server.of(path)]


def test_a_policy_is_shown_as_what_would_set_it(owner: CommandLine, deployment: Deployment) -> None:
    """What is printed is the policy's JSON, so that it can be kept, edited and given back."""
    deployment.says(POLICIES, Reply(200, [ROW]))
    assert json.loads(owner("policy").out) == ROW["policy"]
    assert owner("policy", "--json").json == ROW
    deployment.says(POLICIES, Reply(200, []))
    ran = owner("policy")
    assert (ran.exit, "./interlock policy FILE" in ran.err) == (1, True)


@pytest.mark.parametrize("by_file", [True, False])
def test_a_policy_is_set_from_a_file_or_standard_input(
    owner: CommandLine, deployment: Deployment, by_file: bool
) -> None:
    """The database gets it as it was written, and what it made of it is shown."""
    deployment.says(POLICIES, Reply(200, []))
    deployment.says(SET, Reply(200, ROW))
    written = '{"allowlist": ["BTC/EUR"], "max_spread_percent": "0.5"}'
    file = owner.folder.parent / "policy.json"
    file.write_text(written, encoding="utf-8-sig")  # an editor may put a BOM before it
    ran = owner("policy", str(file)) if by_file else owner("policy", "-", stdin=f"\ufeff{written}")
    assert (ran.exit, '"cooldown_minutes": 60' in ran.out) == (0, True), ran.err
    assert _asked(deployment, SET) == [{"p_policy": json.loads(written)}]


NOW = {
    **{field.path: field.default for field in FIELDS if "." not in field.path},
    "allowlist": ["BTC-EUR", "ADA-EUR"],
    "limits": {
        "order": {"min_eur": "6", "max_eur": "100"},
        "daily": {"trades": 5, "value_eur": "1000"},
        "gpt": {"daily": 20, "hourly": 4},
    },
    "cooldown_minutes": 30,
}


def test_what_a_policy_loosens_is_shown_and_asked_about(owner: CommandLine, deployment: Deployment) -> None:
    """Also by leaving a field out; nothing becomes looser without a yes, and each way is shown."""
    deployment.says(POLICIES, Reply(200, [{"policy": NOW}]))
    deployment.says(SET, Reply(200, ROW | {"warnings": [WARNING]}))
    written = json.dumps({"allowlist": ["BTC/EUR", "ETH-EUR"], "limits": {"daily": {"trades": 2}}})
    refused = owner("policy", "-", stdin=written)
    said = [" ".join(line.split()) for line in refused.out.splitlines()]
    assert said == [
        "field now then which is",
        "allowlist not allowed ETH-EUR looser",
        "allowlist ADA-EUR not allowed tighter",
        "limits.order.max_eur 100 250 (left out: its default) looser",
        "limits.daily.trades 5 2 tighter",
        "cooldown_minutes 30 60 (left out: its default) tighter",
    ]
    assert (refused.exit, _asked(deployment, SET)) == (2, [])
    ran = owner("policy", "-", "--yes", stdin=written)
    assert (ran.exit, len(_asked(deployment, SET))) == (0, 1)
    assert ran.out.splitlines()[-1] == "Look again: BCT-EUR: the exchange refuses it."
    told = owner("policy", "-", "--yes", "--json", stdin=written).json
    assert [(change["field"], change["looser"]) for change in told["changes"]] == [
        ("allowlist", True),
        ("allowlist", False),
        ("limits.order.max_eur", True),
        ("limits.daily.trades", False),
        ("cooldown_minutes", False),
    ]


def test_what_only_tightens_is_not_asked_about(owner: CommandLine, deployment: Deployment) -> None:
    """Nor what changes nothing, however it is written."""
    deployment.says(POLICIES, Reply(200, [{"policy": NOW}]))
    deployment.says(SET, Reply(200, ROW))
    tighter = {**NOW, "cooldown_minutes": 31, "max_spread_percent": "0.50"}
    ran = owner("policy", "-", stdin=json.dumps(tighter))
    assert (ran.exit, "cooldown_minutes" in ran.out, "max_spread_percent 0" in ran.out) == (0, True, False)
    same = owner("policy", "-", stdin=json.dumps(NOW))
    assert (same.exit, same.out.splitlines()[0]) == (0, "Nothing changes: this is your policy already.")


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: str(field.path))
def test_each_field_knows_which_way_is_looser(field: Field) -> None:
    """What allows more trades, sooner, larger, farther from the price, or by a less sure model."""
    more = {
        *("allowlist", "limits.order.max_eur", "limits.daily.trades", "limits.daily.value_eur"),
        *("limits.gpt.daily", "limits.gpt.hourly", "max_price_move_percent", "max_spread_percent"),
        "proposal_ttl_minutes",
    }
    assert (field.looser is Looser.MORE) is (field.path in more)


def test_every_field_is_explained_to_anybody(interlock: CommandLine, deployment: Deployment) -> None:
    """Nobody need be signed in, and nobody is asked."""
    ran = interlock("policy", "--explain")
    assert ran.exit == 0
    for field in FIELDS:
        assert field.path in ran.out
    (cooldown,) = [
        one
        for one in interlock("policy", "--explain", "--json").json["fields"]
        if one["field"] == "cooldown_minutes"
    ]
    assert (cooldown["unit"], cooldown["range"], cooldown["default"]) == ("minutes", "0 to 525600", 60)
    assert deployment.server.asked == []


def test_what_is_no_policy_is_refused_with_the_reason(owner: CommandLine, deployment: Deployment) -> None:
    """What cannot be read is not sent; what the database refuses is told in its words."""
    assert owner("policy", "-", stdin="{allowlist}").exit == 2
    assert owner("policy", str(owner.folder / "missing.json")).exit == 2
    assert _asked(deployment, SET) == []
    deployment.says(POLICIES, Reply(200, []))
    refused = {"message": "POLICY_INVALID", "details": "x is not a field of a policy"}
    deployment.says(SET, Reply(400, refused))
    ran = owner("policy", "-", stdin='{"x": 1}')
    assert (ran.exit, "x is not a field of a policy" in ran.err) == (1, True)


def test_a_scan_is_made_due_and_what_the_last_came_to_is_told(
    owner: CommandLine, deployment: Deployment
) -> None:
    """The database decides when it runs; nothing stands against it."""
    deployment.says(SCAN, Reply(200, {"enabled": True}))
    deployment.says("/status", Reply(200, status(scan=STANDS)))
    ran = owner("scan")
    assert (ran.exit, ran.out.splitlines()) == (
        0,
        [
            "A scan is due now: it proposes within a minute, or holds.",
            "The last one: 10 min ago: held: nothing moves",
        ],
    )
    assert _asked(deployment, SCAN) == [{"p_enabled": True}]
    assert owner("scan", "--json").json == {"enabled": True, "obstacles": [], "doubts": []}


def test_a_scan_is_switched_off(owner: CommandLine, deployment: Deployment) -> None:
    """And it is said how it is switched on again."""
    deployment.says(SCAN, Reply(200, {"enabled": False}))
    ran = owner("scan", "--off")
    assert (ran.exit, ran.out) == (0, "Your scan is off. ./interlock scan switches it on again.\n")
    assert _asked(deployment, SCAN) == [{"p_enabled": False}]


BUDGET = status()["model_budget"]
TRADING = status()["trading"]
EMPTY = {"code": "ALLOWLIST_EMPTY", "markets": [], "sentence": "No market is allowed."}
WARNING = {"code": "MARKET_REFUSED", "markets": ["BCT-EUR"], "sentence": "BCT-EUR: the exchange refuses it."}


@pytest.mark.parametrize(
    ("stops", "stands", "said"),
    [
        (
            True,
            {"trading": TRADING | {"owner_state": "HALTED", "owner_reason": "tired"}},
            "Your trading is halted (tired): the model is not asked.",
        ),
        (
            True,
            {"trading": TRADING | {"global_state": "HALTED"}},
            "Everybody's trading is halted: the model is not",
        ),
        (
            True,
            {"model_budget": BUDGET | {"daily_used": "20"}},
            "The model budget of this UTC day is spent: 20 of 20",
        ),
        (
            True,
            {"model_budget": BUDGET | {"hourly_used": "4"}},
            "The model budget of the last hour is spent: 4 of 4",
        ),
        (True, {"policy_warnings": [EMPTY]}, "No market is allowed."),
        (False, {"policy_warnings": [WARNING]}, "BCT-EUR: the exchange refuses it."),
        (
            False,
            {"scan": {"consecutive_failures": "3", "last_error": "UNREADABLE"}},
            "The last 3 scans failed (UNREADABLE); ten in a row switch it off.",
        ),
        (False, {"scan": {"enabled": False, "last_error": "ten failures"}}, "It is off: ten failures."),
    ],
)
def test_what_keeps_a_scan_from_proposing_is_said(
    owner: CommandLine, deployment: Deployment, stops: bool, stands: dict[str, Any], said: str
) -> None:
    """By the scan itself and by the status: nobody waits for a proposal that cannot come."""
    told = status(**{**stands, "scan": STANDS | stands.get("scan", {})})
    deployment.says(SCAN, Reply(200, {"enabled": True}))
    deployment.says("/status", Reply(200, told))
    for command in ("scan", "status"):
        ran = owner(command)
        assert (ran.exit, said in " ".join(ran.out.split())) == (0, True), ran.out
    assert ("it will propose nothing" in owner("scan").out) is stops


@pytest.mark.parametrize(
    ("scan", "said"),
    [
        (None, "scan none yet: ./interlock scan makes one"),
        (STANDS, "scan next in 50 min last 10 min ago: held: nothing moves"),
        (STANDS | {"running": True, "last_run_at": None}, "scan running now last none has finished yet"),
        (STANDS | {"next_run_at": "2026-11-24T08:59:00+00:00"}, "scan due now last 10 min ago"),
        (STANDS | {"enabled": False}, "scan off: ./interlock scan switches it on"),
    ],
)
def test_the_status_says_how_the_scan_stands(
    owner: CommandLine, deployment: Deployment, scan: dict[str, Any] | None, said: str
) -> None:
    """None, due, running, off; and when the last one was."""
    deployment.says("/status", Reply(200, status(scan=scan)))
    assert said in " ".join(owner("status").out.split())
