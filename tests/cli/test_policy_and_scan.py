"""An owner reads and sets their policy, and lets the model look now or no more."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import CommandLine, Deployment
from tests.loopback import Reply

pytestmark = pytest.mark.unit

POLICIES = "/rest/v1/trading_policies"
SET = "/rest/v1/rpc/set_trading_policy"
SCAN = "/rest/v1/rpc/schedule_scan"
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
    deployment.says(SET, Reply(200, ROW))
    written = '{"allowlist": ["BTC/EUR"], "max_spread_percent": "0.5"}'
    file = owner.folder.parent / "policy.json"
    file.write_text(written, encoding="utf-8-sig")  # an editor may put a BOM before it
    ran = owner("policy", str(file)) if by_file else owner("policy", "-", stdin=f"\ufeff{written}")
    assert (ran.exit, '"cooldown_minutes": 60' in ran.out) == (0, True), ran.err
    assert _asked(deployment, SET) == [{"p_policy": json.loads(written)}]


def test_what_is_no_policy_is_refused_with_the_reason(owner: CommandLine, deployment: Deployment) -> None:
    """What cannot be read is not sent; what the database refuses is told in its words."""
    assert owner("policy", "-", stdin="{allowlist}").exit == 2
    assert owner("policy", str(owner.folder / "missing.json")).exit == 2
    assert _asked(deployment, SET) == []
    refused = {"message": "POLICY_INVALID", "details": "x is not a field of a policy"}
    deployment.says(SET, Reply(400, refused))
    ran = owner("policy", "-", stdin='{"x": 1}')
    assert (ran.exit, "x is not a field of a policy" in ran.err) == (1, True)


@pytest.mark.parametrize(("arguments", "enabled"), [((), True), (("--off",), False)])
def test_a_scan_is_made_due_or_switched_off(
    owner: CommandLine, deployment: Deployment, arguments: tuple[str, ...], enabled: bool
) -> None:
    """The database decides when it runs; the command says which of both was asked for."""
    deployment.says(SCAN, Reply(200, {"enabled": enabled}))
    ran = owner("scan", *arguments)
    assert (ran.exit, ("due now" in ran.out, "off" in ran.out)) == (0, (enabled, not enabled))
    assert _asked(deployment, SCAN) == [{"p_enabled": enabled}]
