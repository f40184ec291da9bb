"""`make check-keys` tells each wrong pair and what to change, and does nothing at the exchange."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.deploy.check_keys import Finding, Verdict, check
from local.exchange.app import create_app
from local.exchange.engine import Settings
from local.exchange.exchange import Exchange, create_exchange
from local.exchange.keys import READONLY_KEY, READONLY_SECRET, TRADE_KEY, TRADE_SECRET
from local.faults.serving import serving
from tests.deploy.cloud import REPOSITORY, SECRETS, Project
from tests.exchange.conftest import Switch

ELSEWHERE = ["203.0.113.7"]
OPERATOR_ID = 7


class Bitvavo:
    """The simulated exchange, its admin routes, and the settings of a deployment that trades there."""

    def __init__(self, exchange: Exchange, address: str, project: Project) -> None:
        self.exchange = exchange
        self.address = address
        self.url = f"{address}/v2"
        self.project = project
        self.seen: dict[str, Any] = {}
        self.given = {
            "BITVAVO_READONLY_KEY": READONLY_KEY,
            "BITVAVO_READONLY_SECRET": READONLY_SECRET,
            "BITVAVO_TRADE_KEY": TRADE_KEY,
            "BITVAVO_TRADE_SECRET": TRADE_SECRET,
            "BITVAVO_OPERATOR_ID": str(OPERATOR_ID),
            "SUPABASE_URL": project.url,
            "SUPABASE_SECRET_KEY": SECRETS["SUPABASE_SECRET_KEY"],
        }

    def key(self, key: str, **changes: object) -> None:
        httpx.post(f"{self.address}/_admin/keys/{key}", json=changes, trust_env=False).raise_for_status()

    def foreign_order(self, **fields: object) -> None:
        order = {"market": "BTC-EUR", "operator_id": OPERATOR_ID, "orders": 1, **fields}
        httpx.post(f"{self.address}/_admin/orders", json=order, trust_env=False).raise_for_status()

    def check(self) -> list[Finding]:
        return list(check(self.given, self.url, self.seen))

    def holdings(self) -> Any:
        state = httpx.get(f"{self.address}/_admin/state", trust_env=False).json()
        return state["balances"], httpx.get(f"{self.address}/_admin/record", trust_env=False).json()


@pytest.fixture(scope="module")
def switch() -> Switch:
    return Switch()


@pytest.fixture(scope="module")
def address(switch: Switch) -> Iterator[str]:
    with serving(switch) as base_url:
        yield base_url


@pytest.fixture
def bitvavo(project: Project, tmp_path: Path, switch: Switch, address: str) -> Bitvavo:
    project.reset()
    project.migrated = tmp_path
    exchange = create_exchange(candles=None, settings=Settings(lookup_lag_ms=0), points=100_000)
    switch.app = create_app(exchange)
    return Bitvavo(exchange, address, project)


def wrong(findings: list[Finding]) -> list[str]:
    return [finding.sentence for finding in findings if finding.verdict is Verdict.WRONG]


def untold(findings: list[Finding]) -> list[str]:
    return [finding.sentence for finding in findings if finding.verdict is Verdict.UNTOLD]


def test_new_pairs_lack_the_address_list_and_nothing_else(bitvavo: Bitvavo) -> None:
    """Pairs with the right permissions work from anywhere, and both sentences say what to set."""
    findings = bitvavo.check()
    assert untold(findings) == []
    assert [sentence.partition(":")[0] for sentence in wrong(findings)] == [
        "The read-only pair works from this machine",
        "The trade pair works from this machine",
    ]
    assert "The read-only pair is refused an order for want of the right." in [f.sentence for f in findings]


def test_bound_pairs_that_were_seen_before_are_right(bitvavo: Bitvavo) -> None:
    """Once bound the exchange refuses this machine: the list is proven, the rights are those seen before."""
    bitvavo.check()
    for key in (READONLY_KEY, TRADE_KEY):
        bitvavo.key(key, addresses=ELSEWHERE)
    findings = bitvavo.check()
    assert {finding.verdict for finding in findings} == {Verdict.RIGHT}
    assert any("seen on" in finding.sentence for finding in findings)


def test_bound_pairs_that_were_never_seen_are_not_called_right(bitvavo: Bitvavo) -> None:
    """What cannot be seen is not counted as seen."""
    for key in (READONLY_KEY, TRADE_KEY):
        bitvavo.key(key, addresses=ELSEWHERE)
    assert len([s for s in untold(bitvavo.check()) if "cannot be seen from here" in s]) == 2


@pytest.mark.parametrize(
    ("key", "rights", "says"),
    [
        (READONLY_KEY, ["view", "trade"], "The read-only pair may trade: switch Trade digital assets off."),
        (READONLY_KEY, [], "The read-only pair cannot read: switch View access on."),
        (
            READONLY_KEY,
            ["view", "withdraw"],
            "The read-only pair may withdraw: switch Withdraw digital assets",
        ),
        (TRADE_KEY, ["view"], "The trade pair may not trade: switch Trade digital assets on."),
        (
            TRADE_KEY,
            ["view", "trade", "withdraw"],
            "The trade pair may withdraw: switch Withdraw digital assets",
        ),
    ],
)
def test_a_wrong_right_is_named_as_the_dialog_names_it(
    bitvavo: Bitvavo, key: str, rights: list[str], says: str
) -> None:
    """The sentence names the switch of Bitvavo's dialog."""
    bitvavo.key(key, rights=rights)
    assert any(sentence.startswith(says) for sentence in wrong(bitvavo.check()))


def test_two_pairs_that_may_withdraw_are_not_called_right(bitvavo: Bitvavo) -> None:
    """Nobody is refused for want of the right, so nothing is proven: a person must look."""
    bitvavo.key(READONLY_KEY, rights=["view", "withdraw"])
    bitvavo.key(TRADE_KEY, rights=["view", "trade", "withdraw"])
    assert len([s for s in untold(bitvavo.check()) if "Withdraw digital assets is off" in s]) == 2


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"active": False}, "make a new pair (code 305)"),
        ({"confirmed": False}, "that Bitvavo sent when it was made"),
    ],
)
def test_a_pair_that_does_not_work_is_named(bitvavo: Bitvavo, changes: dict[str, object], says: str) -> None:
    """Switched off or unconfirmed: the sentence says what to do."""
    bitvavo.key(TRADE_KEY, **changes)
    assert any(says in sentence for sentence in wrong(bitvavo.check()))


def test_a_secret_of_another_key_is_named_and_not_shown(bitvavo: Bitvavo) -> None:
    """Neither the wrong secret nor a key is in any sentence."""
    bitvavo.given["BITVAVO_TRADE_SECRET"] = READONLY_SECRET
    findings = bitvavo.check()
    assert any("copy both again (code 309)" in sentence for sentence in wrong(findings))
    said = " ".join(finding.sentence for finding in findings)
    assert all(
        bitvavo.given[name] not in said for name in bitvavo.given if name.endswith(("_KEY", "_SECRET"))
    )


def test_one_pair_in_both_places_is_named(bitvavo: Bitvavo) -> None:
    """The separation is gone when both pairs are one."""
    bitvavo.given |= {"BITVAVO_READONLY_KEY": TRADE_KEY, "BITVAVO_READONLY_SECRET": TRADE_SECRET}
    assert wrong(bitvavo.check()) == [
        "Both pairs are the same: make a second one, without Trade digital assets."
    ]


@pytest.mark.parametrize("fate", ["open", "filled", "canceled"])
def test_an_order_with_the_operator_id_and_no_approval_is_named(bitvavo: Bitvavo, fate: str) -> None:
    """Open or done, in the last day: something else uses the id."""
    bitvavo.foreign_order(fate=fate)
    assert any("order(s) carry operator id 7" in sentence for sentence in wrong(bitvavo.check()))


def test_an_order_that_the_database_explains_is_fine(bitvavo: Bitvavo) -> None:
    """Its client order id is the id of an execution."""
    known = "5b1c1d8e-5a3b-5c1e-9a64-1b2f3c4d5e6f"
    bitvavo.foreign_order(client_order_id=known, fate="filled")
    bitvavo.project.executions = [{"id": known}]
    assert not any("operator id" in sentence for sentence in wrong(bitvavo.check()))


def test_an_order_of_somebody_else_is_fine(bitvavo: Bitvavo) -> None:
    """Orders without the operator id are the owner's own business."""
    bitvavo.foreign_order(operator_id=0, fate="filled")
    assert not any("operator id" in sentence for sentence in wrong(bitvavo.check()))


def test_nothing_happens_at_the_exchange(bitvavo: Bitvavo) -> None:
    """No order is accepted, none is cancelled and no balance moves, even for pairs that may do everything."""
    everything = ["view", "trade", "withdraw"]
    for key in (READONLY_KEY, TRADE_KEY):
        bitvavo.key(key, rights=everything)
    bitvavo.foreign_order(fate="open", operator_id=OPERATOR_ID)
    before = bitvavo.holdings()
    bitvavo.check()
    assert bitvavo.holdings() == before


def test_exchange_keys_are_tried_without_supabase(bitvavo: Bitvavo) -> None:
    """Orders with the operator id are counted then, and what explains them is not known."""
    for name in ("SUPABASE_URL", "SUPABASE_SECRET_KEY"):
        del bitvavo.given[name]
    assert "is on 0 order(s)" in bitvavo.check()[-1].sentence
    bitvavo.foreign_order()
    found = bitvavo.check()[-1]
    assert (found.verdict, "is on 1 order(s)" in found.sentence) == (Verdict.UNTOLD, True)


@pytest.mark.parametrize("by_file", [True, False])
@pytest.mark.parametrize("wrong", ["banana", "0", "-7", "7.5", "9" * 19])
def test_a_wrong_operator_id_gives_a_sentence(
    bitvavo: Bitvavo, tmp_path: Path, wrong: str, by_file: bool
) -> None:
    """Before anything is asked: no traceback, from the file and from the environment."""
    given = bitvavo.given | {"BITVAVO_OPERATOR_ID": wrong, "SUPABASE_URL": "<placeholder>"}
    file = tmp_path / "deploy.env"
    file.write_text("".join(f"{name}={value}\n" for name, value in given.items()))
    file.chmod(0o600)
    file = file if by_file else file.rename(tmp_path / "other.env")
    ran = subprocess.run(
        [sys.executable, "-c", _COMMAND, str(tmp_path / "seen.json")],
        cwd=tmp_path,
        env={"PYTHONPATH": str(REPOSITORY), **({"SETTINGS": str(file)} if by_file else given)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert "BITVAVO_OPERATOR_ID must be a whole number of 1 or more" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_the_command_exits_0_only_when_everything_is_right(bitvavo: Bitvavo, tmp_path: Path) -> None:
    """The command reads the settings file, prints every finding and no secret."""
    clone = tmp_path / "clone"
    clone.mkdir()
    for name in ("local", "shared"):
        (clone / name).symlink_to(REPOSITORY / name)
    settings = tmp_path / "deploy.env"
    settings.write_text("".join(f"{name}={value}\n" for name, value in bitvavo.given.items()))
    settings.chmod(0o600)

    def command() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", _COMMAND, str(tmp_path / "seen.json")],
            cwd=clone,
            env={
                "SETTINGS": str(settings),
                "BITVAVO_REST_URL": bitvavo.url,
                "PYTHONPATH": ".",
                "PATH": os.environ["PATH"],
            },
            capture_output=True,
            text=True,
            check=False,
        )

    first = command()
    assert (first.returncode, "WRONG" in first.stdout) == (1, True)
    for key in (READONLY_KEY, TRADE_KEY):
        bitvavo.key(key, addresses=ELSEWHERE)
    second = command()
    assert (second.returncode, second.stdout.splitlines()[-1]) == (0, "Everything that can be seen is right.")
    for said in (first.stdout + first.stderr, second.stdout, (tmp_path / "seen.json").read_text()):
        assert TRADE_KEY not in said
        assert TRADE_SECRET not in said
    assert json.loads((tmp_path / "seen.json").read_text())


_COMMAND = (
    "import sys; from pathlib import Path; from local.deploy.check_keys import main; main(Path(sys.argv[1]))"
)
