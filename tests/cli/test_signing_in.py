"""Signing in: the password is kept nowhere, the tokens for nobody else to read, and they go nowhere else."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import (
    CTRL_D,
    EMAIL,
    PASSWORD,
    REPOSITORY,
    CommandLine,
    Deployment,
    on_a_terminal,
    status,
)
from tests.loopback import HANG_UP, Asked, Reply, serving

pytestmark = pytest.mark.unit

RPC = "/rest/v1/rpc/set_trading_state"
HALTED = {"trading_state": "HALTED", "state_reason": "set by the owner", "version": "2"}


def test_tokens_are_kept_for_their_owner_alone(owner: CommandLine, deployment: Deployment) -> None:
    """The folder is 0700 and the file 0600, whatever was there before; the password is in neither."""
    kept = owner.folder / "sessions.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(owner.folder.stat().st_mode) == 0o700
    kept.chmod(0o644)
    owner.folder.chmod(0o755)
    again = owner("login", EMAIL, stdin=f"{PASSWORD}\n")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(owner.folder.stat().st_mode) == 0o700
    texts = [path.read_text() for path in owner.folder.iterdir()]
    assert "access-2" in "".join(texts)
    assert PASSWORD not in "".join([*texts, again.out, again.err])
    assert "access-" not in again.out + again.err
    (first, _) = deployment.server.of("/auth/v1/token")
    assert first.body == {"email": EMAIL, "password": PASSWORD}


def test_the_password_is_no_argument(interlock: CommandLine) -> None:
    """Arguments are seen by every user of the machine: there is no way to give it as one."""
    assert interlock("login", EMAIL, PASSWORD).exit == 2
    assert interlock("login", EMAIL, "--password", PASSWORD).exit == 2


def test_a_wrong_password_is_refused_and_keeps_nothing(
    interlock: CommandLine, deployment: Deployment
) -> None:
    """Exit 1, the service's own words, and nobody is signed in."""
    deployment.says(
        "/auth/v1/token", Reply(400, {"error_code": "invalid_credentials", "msg": "Invalid login"})
    )
    ran = interlock("login", EMAIL, "--json", stdin="wrong\n")
    assert (ran.exit, ran.json["code"], ran.json["error"]) == (1, "invalid_credentials", "Invalid login")
    assert interlock("status").exit == 2


@pytest.mark.parametrize("name", ["SUPABASE_URL", "SUPABASE_PUBLISHABLE_KEY", "INTERLOCK_URL"])
def test_a_missing_variable_is_named(
    interlock: CommandLine, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Exit 2 before anybody is asked."""
    monkeypatch.delenv(name)
    ran = interlock("login", EMAIL, stdin=f"{PASSWORD}\n")
    assert (ran.exit, ran.out) == (2, "")
    assert name in ran.err


def test_a_secret_key_is_not_taken_for_the_publishable_one(
    interlock: CommandLine, monkeypatch: pytest.MonkeyPatch, deployment: Deployment
) -> None:
    """It would be stored, and be sent with every request."""
    monkeypatch.setenv("SUPABASE_PUBLISHABLE_KEY", "sb_secret_canary")
    ran = interlock("login", EMAIL, stdin=f"{PASSWORD}\n")
    assert ran.exit == 2
    assert "canary" not in ran.err
    assert deployment.server.asked == []


@pytest.mark.parametrize("name", ["SUPABASE_URL", "INTERLOCK_URL"])
@pytest.mark.parametrize(
    "url", ["http://interlock.example.com", "ftp://x", "https://", "https://a:b@x.example", "x"]
)
def test_tokens_travel_by_https_alone(
    interlock: CommandLine, monkeypatch: pytest.MonkeyPatch, name: str, url: str, deployment: Deployment
) -> None:
    """Plain HTTP is for this machine; anything else that is no HTTPS address is refused unasked."""
    monkeypatch.setenv(name, url)
    assert interlock("login", EMAIL, stdin=f"{PASSWORD}\n").exit == 2
    assert deployment.server.asked == []


def test_after_login_the_environment_is_not_needed(
    owner: CommandLine, monkeypatch: pytest.MonkeyPatch, deployment: Deployment
) -> None:
    """The addresses of the last login are remembered beside its tokens."""
    for name in ("SUPABASE_URL", "SUPABASE_PUBLISHABLE_KEY", "INTERLOCK_URL"):
        monkeypatch.delenv(name)
    deployment.says(RPC, Reply(200, HALTED))
    assert owner("halt").exit == 0
    (asked,) = deployment.server.of(RPC)
    assert asked.headers["authorization"] == "Bearer access-1"
    assert asked.headers["apikey"] == "sb_publishable_x"


def test_the_deployment_of_a_login_from_before_is_named_before_it_is_used(
    owner: CommandLine, monkeypatch: pytest.MonkeyPatch, deployment: Deployment
) -> None:
    """Without INTERLOCK_URL: whoever has two of them sees which one this is, also in a script."""
    named = f"INTERLOCK_URL is not set; as signed in before: {EMAIL} at {deployment.server.url}.\n"
    assert owner("status").err == ""
    monkeypatch.delenv("INTERLOCK_URL")
    for arguments in (("status",), ("status", "--json"), ("proposals",)):
        assert owner(*arguments).err == named


def test_the_first_line_says_whose_trading_where_and_with_which_money(
    owner: CommandLine, deployment: Deployment
) -> None:
    """What nobody has said is not called harmless."""
    trading = status()["trading"]
    for changes, said in (
        ({}, "live, against a simulated exchange: no real money"),
        ({"exchange_url": "https://api.bitvavo.com/v2"}, "live: real money"),
        ({"exchange_url": "https://x.example.com/v2"}, "live, against https://x.example.com/v2: take it"),
        ({"exchange_url": None}, "live: take it for real money"),
        ({"trading": trading | {"mode": "dry_run"}}, "dry run, no order is sent"),
        ({"trading": trading | {"mode": "paper"}}, "the mode is not known"),
    ):
        deployment.says("/status", Reply(200, status(**changes)))
        for command in ("status", "proposals"):
            first = owner(command).out.splitlines()[0]
            assert first.startswith(f"{EMAIL} at {deployment.server.url}: {said}")


def test_deployments_are_listed_and_signed_out_of(
    owner: CommandLine, monkeypatch: pytest.MonkeyPatch, deployment: Deployment
) -> None:
    """The last login is marked, no token is shown, and after signing out nobody is meant by default."""
    deployment.says("/auth/v1/logout", Reply(204))
    listed = owner("deployments")
    assert (listed.exit, EMAIL in listed.out, "the last login" in listed.out) == (0, True, True)
    assert "access-" not in listed.out + str(owner("deployments", "--json").json)
    ran = owner("logout")
    assert (ran.exit, ran.out) == (0, f"Signed out: {EMAIL} at {deployment.server.url}.\n")
    (asked,) = deployment.server.of("/auth/v1/logout")
    assert asked.headers["authorization"] == "Bearer access-1"
    assert "access-1" not in (owner.folder / "sessions.json").read_text()
    for name in ("SUPABASE_URL", "INTERLOCK_URL"):
        monkeypatch.delenv(name)
    assert owner("status").exit == 2
    assert "Nobody is signed in anywhere" in owner("deployments").out


def test_signing_out_forgets_the_tokens_whatever_the_project_says(
    owner: CommandLine, deployment: Deployment
) -> None:
    """That they may work on elsewhere is said."""
    deployment.says("/auth/v1/logout", HANG_UP)
    ran = owner("logout")
    assert (ran.exit, "did not confirm" in ran.out) == (0, True)
    assert owner("logout").exit == 2


def test_an_address_alone_finds_the_login_that_was_made_there(
    owner: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a token is not sent to the functions of another deployment because its address is set."""
    monkeypatch.delenv("SUPABASE_URL")
    assert owner("status").exit == 0
    with serving(lambda _: Reply(200, status())) as other:
        monkeypatch.setenv("INTERLOCK_URL", other.url)
        ran = owner("status")
        assert (ran.exit, other.url in ran.err, other.asked) == (2, True, [])


def test_tokens_of_one_project_are_never_sent_to_another(
    owner: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With another SUPABASE_URL nobody is signed in, although somebody is elsewhere."""
    with serving(lambda _: Reply(200, {})) as other:
        monkeypatch.setenv("SUPABASE_URL", other.url)
        ran = owner("halt")
        assert (ran.exit, "login" in ran.err) == (2, True)
        assert other.asked == []


def test_a_redirect_is_not_followed(owner: CommandLine, deployment: Deployment) -> None:
    """It would carry the token to wherever it points."""
    with serving(lambda _: Reply(200, HALTED)) as other:
        deployment.says(RPC, Reply(307, "", {"Location": f"{other.url}/stolen"}))
        assert owner("halt").exit == 1
        assert other.asked == []


def test_a_token_that_is_about_to_end_is_refreshed_first(
    interlock: CommandLine, deployment: Deployment
) -> None:
    """The new tokens are used and kept; the next command needs no refresh."""
    deployment.says("/auth/v1/token", lambda a: deployment.tokens(a, lasting_s=30), deployment.tokens)
    deployment.says(RPC, Reply(200, HALTED))
    interlock("login", EMAIL, stdin=f"{PASSWORD}\n")
    assert interlock("halt").exit == 0
    assert interlock("halt").exit == 0
    login, refresh = deployment.server.of("/auth/v1/token")
    assert (login.query, refresh.query) == ([("grant_type", "password")], [("grant_type", "refresh_token")])
    assert refresh.body == {"refresh_token": "refresh-1"}
    assert [one.headers["authorization"] for one in deployment.server.of(RPC)] == ["Bearer access-2"] * 2


def test_a_token_that_is_refused_is_refreshed_once(owner: CommandLine, deployment: Deployment) -> None:
    """A clock may be wrong or a session revoked: one refresh, one repeat, then the refusal is the answer."""
    deployment.says(RPC, Reply(401, {"message": "JWT expired"}))
    ran = owner("halt")
    assert ran.exit == 1
    assert [one.headers["authorization"] for one in deployment.server.of(RPC)] == [
        "Bearer access-1",
        "Bearer access-2",
    ]


def test_a_sign_in_that_has_ended_says_what_to_do(owner: CommandLine, deployment: Deployment) -> None:
    """Exit 2 and one line that names the command."""
    deployment.says("/rest/v1/trading_policies", Reply(401, {"message": "JWT expired"}))
    deployment.says("/auth/v1/token", Reply(400, {"error_code": "refresh_token_not_found", "msg": "gone"}))
    ran = owner("resume")
    assert (ran.exit, ran.err) == (2, "The sign-in has ended: ./interlock login\n")


def test_what_another_process_refreshed_is_used(owner: CommandLine, deployment: Deployment) -> None:
    """A refresh token is good once: who comes second takes what the first one got."""
    kept = owner.folder / "sessions.json"

    def meanwhile(_: Asked) -> Reply:
        sessions = json.loads(kept.read_text())
        sessions["sessions"][deployment.server.url]["access_token"] = "access-of-the-other"
        kept.write_text(json.dumps(sessions))
        return Reply(401, {"message": "JWT expired"})

    deployment.says(RPC, meanwhile, Reply(200, HALTED))
    assert owner("halt").exit == 0
    assert deployment.server.of(RPC)[1].headers["authorization"] == "Bearer access-of-the-other"
    assert len(deployment.server.of("/auth/v1/token")) == 1


def test_a_file_that_is_broken_means_nobody_is_signed_in(owner: CommandLine) -> None:
    """No traceback: exit 2 and the way out."""
    for text in ("", "{", "[]", '{"last": 1, "sessions": {"x": 1}}'):
        (owner.folder / "sessions.json").write_text(text)
        ran = owner("status")
        assert (ran.exit, "login" in ran.err) == (2, True)


def test_no_answer_while_signing_in_is_unavailable(interlock: CommandLine, deployment: Deployment) -> None:
    """Exit 4: nothing was changed, repeat."""
    deployment.says("/auth/v1/token", HANG_UP)
    assert interlock("login", EMAIL, stdin=f"{PASSWORD}\n").exit == 4


@pytest.mark.usefixtures("interlock")
def test_on_a_terminal_the_password_is_asked_for_and_not_shown(deployment: Deployment) -> None:
    """What is typed at the prompt is not echoed, and reaches the service."""
    ran = on_a_terminal("login", answers=[("E-mail: ", EMAIL), ("Password: ", PASSWORD)])
    assert (ran.exit, "Signed in as" in ran.out) == (0, True)
    assert PASSWORD not in ran.out
    assert deployment.server.of("/auth/v1/token")[0].body == {"email": EMAIL, "password": PASSWORD}


@pytest.mark.usefixtures("interlock")
def test_ctrl_d_at_the_password_signs_nobody_in(deployment: Deployment) -> None:
    """Nor at the e-mail: a sentence, no traceback, and nobody is asked."""
    for answers in ([("E-mail: ", EMAIL), ("Password: ", CTRL_D)], [("E-mail: ", CTRL_D)]):
        ran = on_a_terminal("login", answers=answers)
        assert (ran.exit, "nobody was signed in" in ran.out, "Traceback" in ran.out) == (2, True, False)
    assert deployment.server.asked == []


@pytest.mark.parametrize("arguments", [("login", EMAIL), ("login", "caf\udce9@x.example"), ("policy", "-")])
@pytest.mark.usefixtures("owner")
def test_bytes_that_are_no_text_give_a_sentence(arguments: tuple[str, ...]) -> None:
    """On standard input and among the arguments."""
    ran = subprocess.run(
        [sys.executable, "-m", "cli", *arguments], cwd=REPOSITORY, input=b"p\xe9ssword\n", capture_output=True
    )
    assert (ran.returncode, b"UTF-8" in ran.stderr, b"Traceback" in ran.stderr) == (2, True, False), (
        ran.stderr
    )


@pytest.mark.parametrize(("options", "end"), [((), 5), (("--json",), 5)])
@pytest.mark.usefixtures("owner")
def test_an_answer_that_cannot_be_written_is_said_to_be_done(options: tuple[str, ...], end: int) -> None:
    """A full disk changes nothing of what was done; a reader who has left is no fault."""
    command = [sys.executable, "-m", "cli", "status", *options]
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(command, cwd=REPOSITORY, stdout=full, stderr=subprocess.PIPE, text=True)
    assert ran.returncode == end
    assert ran.stderr == "The answer cannot be written (No space left on device). What was asked was done.\n"
    read, write = os.pipe()
    os.close(read)
    ran = subprocess.run(command, cwd=REPOSITORY, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert (ran.returncode, ran.stderr) == (0, "")
