"""An owner's day on the real parts, through `./interlock` alone, as a stranger would type it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from local.owner import Owner
from local.serve import variables
from local.world import World
from tests.cli.conftest import Ran
from tests.people import OPEN_POLICY, People

REPOSITORY = Path(__file__).resolve().parents[2]


class Shell:
    """A terminal window of one person: the variables that make serve writes, and a home of its own."""

    def __init__(self, place: World, home: Path) -> None:
        exported = (line.removeprefix("export ").partition("=") for line in variables(place).splitlines())
        self._environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "COLUMNS": "160",
            **{name: value for name, _, value in exported},
        }
        self._home = home

    def __call__(self, *arguments: str, stdin: str = "") -> Ran:
        ran = subprocess.run(
            [REPOSITORY / "interlock", *arguments],
            env=self._environ,
            cwd=self._home,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=90,
        )
        return Ran(ran.returncode, ran.stdout, ran.stderr)

    def json(self, *arguments: str) -> Any:
        ran = self(*arguments, "--json")
        assert ran.exit == 0, ran.err
        return json.loads(ran.out)


@pytest.fixture
def owner(people: People) -> Owner:
    return people.owner({**OPEN_POLICY, "cooldown_minutes": 60})


@pytest.fixture
def interlock(place: World, owner: Owner, tmp_path: Path) -> Shell:
    """The owner has signed in from standard input; whatever lies in the current folder is not imported."""
    (tmp_path / "httpx.py").write_text("raise SystemExit('imported from the current folder')")
    shell = Shell(place, tmp_path)
    signed_in = shell("login", owner.email, stdin=f"{owner.password}\n")
    assert (signed_in.exit, owner.email in signed_in.out) == (0, True), signed_in.err
    assert (tmp_path / ".config" / "interlock" / "sessions.json").stat().st_mode & 0o777 == 0o600
    return shell


def test_an_owner_approves_repeats_and_declines(interlock: Shell, owner: Owner, people: People) -> None:
    """One order for any number of approvals; the second asset's trade is refused with its reason."""
    bought, declined, cooling = (people.proposal(owner) for _ in range(3))
    listed = interlock.json("proposals")["proposals"]
    assert {UUID(row["id"]) for row in listed} == {bought, declined, cooling}
    assert str(bought)[:8] in interlock("proposals").out

    first = interlock("approve", str(bought)[:13], "--yes")
    assert (first.exit, "Filled: bought " in first.out) == (0, True), first.err
    again = interlock("approve", str(bought), "--yes")
    assert (again.exit, "approved before; nothing was sent now" in again.out) == (0, True)
    assert len(people.orders(bought)) == 1

    assert interlock("decline", str(declined)).exit == 0
    refused = interlock("approve", str(declined), "--yes")
    assert (refused.exit, "The proposal is DECLINED" in refused.out) == (1, True)

    cooled = interlock("approve", str(cooling), "--yes")
    assert cooled.exit == 1
    assert "your cooldown of 60 minutes lasts until" in " ".join(cooled.out.split())
    assert interlock("approve", str(cooling), "--yes", "--override-cooldown").exit == 0

    status = interlock.json("status")
    assert (status["today"]["trades"], status["pending_proposals"]) == ("2", [])
    shown = " ".join(interlock("status").out.split())
    assert "2 of 50 trades" in shown
    assert "Last execution" in shown


def test_an_owner_halts_and_resumes(interlock: Shell, owner: Owner, people: People) -> None:
    """Halted is refused with who halted it; resuming takes a yes, and then it trades."""
    proposal = people.proposal(owner)
    halted = interlock("halt", "I", "am", "ill")
    assert (halted.exit, "live, against a simulated exchange: no real money" in halted.out) == (0, True)
    refused = interlock("approve", str(proposal), "--yes")
    assert refused.exit == 1
    assert "yours is HALTED (set by the owner: I am ill)" in " ".join(refused.out.split())
    assert interlock("resume").exit == 2
    resumed = interlock("resume", "--yes")
    assert (resumed.exit, "Reason: set by the owner: I am ill" in resumed.out) == (0, True)
    assert interlock("approve", str(proposal), "--yes").exit == 0


def test_the_operator_halts_and_resumes_everybody(interlock: Shell, owner: Owner, people: People) -> None:
    """The reason is what an owner reads; an owner's own resume does not lift it."""
    proposal = people.proposal(owner)
    try:
        assert interlock("halt", "--all", "the operator sleeps").exit == 0
        refused = interlock("approve", str(proposal), "--yes")
        assert refused.exit == 1
        assert "everybody's is HALTED (the operator sleeps)" in " ".join(refused.out.split())
        assert interlock("resume", "--yes").exit == 0
        assert interlock("approve", str(proposal), "--yes").exit == 1
    finally:
        resumed = interlock("resume", "--all", "--yes")
    assert (resumed.exit, "Reason: the operator sleeps" in resumed.out) == (0, True)
    assert interlock("approve", str(proposal), "--yes").exit == 0


def test_a_stranger_is_told_that_they_are_none_of_the_owners(
    place: World, people: People, tmp_path: Path
) -> None:
    """Signing in works for every user of the project; anything else is for owners."""
    stranger = people.stranger()
    shell = Shell(place, tmp_path)
    assert shell("login", stranger.email, stdin=f"{stranger.password}\n").exit == 0
    for command in (("status",), ("halt",), ("approve", str(UUID(int=1)))):
        ran = shell(*command)
        assert (ran.exit, "has not named" in ran.err) == (1, True), ran


def test_a_clean_clone_sets_itself_up(tmp_path: Path) -> None:
    """Without its environment the command installs what it needs first, and says so beside its output."""
    (tmp_path / "local").mkdir()
    shutil.copy(REPOSITORY / "interlock", tmp_path)
    shutil.copytree(REPOSITORY / "cli", tmp_path / "cli")
    (tmp_path / "local" / "setup.sh").write_text(
        f"echo 'Setting up …'\nln -s {REPOSITORY}/.venv {tmp_path}/.venv\n"
    )
    link = tmp_path / "elsewhere"
    link.symlink_to(tmp_path / "interlock")
    ran = subprocess.run([link, "--help"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stderr) == (0, "Setting up …\n")
    assert ran.stdout.startswith("usage: interlock")
