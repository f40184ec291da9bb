"""Halting tries hard, resuming looks first, and what is shown is plain text as wide as the terminal."""

from __future__ import annotations

import json
import time
import tomllib

import pytest

from cli import halting
from tests.cli.conftest import (
    EMAIL,
    PROPOSAL,
    REPOSITORY,
    CommandLine,
    Deployment,
    on_a_terminal,
    proposal,
    status,
)
from tests.loopback import HANG_UP, Reply

pytestmark = pytest.mark.unit

STATE = "/rest/v1/rpc/set_trading_state"
POLICIES = "/rest/v1/trading_policies"
CONTROLS = "/rest/v1/trading_controls"
HALT_ALL = "/rest/v1/rpc/halt_trading"
SET_CONTROLS = "/rest/v1/rpc/set_trading_controls"
AT = "2026-11-24 09:00:00.5+00"
OWN = {"trading_state": "HALTED", "state_reason": "three refusals", "version": 4, "updated_at": AT}
ALL = {"trading_state": "HALTED", "reason": "an intruder", "mode": "live", "version": 9, "updated_at": AT}


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(halting, "HALT_AGAIN_AFTER_S", (0.0, 0.0))


@pytest.fixture
def operator(interlock: CommandLine, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """Nobody is signed in, but the secret key is there."""
    monkeypatch.setenv("SUPABASE_SECRET_KEY", "sb_secret_canary")
    return interlock


def test_a_halt_is_tried_again_until_it_is_known(owner: CommandLine, deployment: Deployment) -> None:
    """A lost answer, a busy database, and then it is halted."""
    halted = Reply(200, OWN)
    deployment.says(STATE, HANG_UP, Reply(500, {"code": "55P03", "message": "lock timeout"}), halted)
    ran = owner("halt")
    assert (ran.exit, ran.out.splitlines()[1]) == (0, "Your trading is halted.")
    asked = {"p_state": "HALTED", "p_reason": None}
    assert [one.body for one in deployment.server.of(STATE)] == [asked] * 3


def test_a_halt_comes_before_the_line_that_names_the_money(
    owner: CommandLine, deployment: Deployment
) -> None:
    """The mode is asked for when trading is halted already, and its absence holds up nothing."""
    deployment.says(STATE, Reply(200, OWN))
    deployment.says("/status", Reply(200, status()), HANG_UP)
    for told in ("live, against a simulated exchange: no real money", "the mode is not known"):
        ran = owner("halt")
        assert (ran.exit, ran.out.splitlines()[0]) == (0, f"{EMAIL} at {deployment.server.url}: {told}")
    assert [one.path for one in deployment.server.asked[-4:]] == [STATE, "/status"] * 2


@pytest.mark.parametrize(
    ("arguments", "kept", "end"),
    [
        (("halt", "the", "market", "is", "wild"), "the market is wild", 0),
        (("halt", "the market is wild"), "the market is wild", 0),
        (("halt", "-5 % in a minute"), "-5 % in a minute", 0),
        (("halt", "--", "wild"), "wild", 0),
        (("halt", "x" * 900), "x" * 400, 0),
        (("halt", "caf\udce9"), "caf?", 0),
        (("halt", "--al", "wild"), "--al wild", 2),
        (("--jsn", "halt"), "--jsn", 2),
        (("halt", "--reason", "wild"), "--reason wild", 2),
        (("--json", "halt", "wild"), "wild", 0),
        (("halt", "wild", "--json"), "wild", 0),
        (("halt", ""), None, 0),
    ],
)
def test_whatever_follows_it_halts_first(
    owner: CommandLine, deployment: Deployment, arguments: tuple[str, ...], kept: str | None, end: int
) -> None:
    """Words are the reason; what is wrong with the call is said when trading is halted."""
    deployment.says(STATE, Reply(200, OWN))
    ran = owner(*arguments)
    (asked,) = deployment.server.of(STATE)
    assert asked.body == {"p_state": "HALTED", "p_reason": kept}
    assert ran.exit == end
    if "--json" in arguments:
        assert ran.json["halted"] is True
    else:
        assert ran.out.splitlines()[1] == "Your trading is halted."
        assert ("is no option of halt" in ran.out) is (end == 2)


@pytest.mark.parametrize("arguments", [("halt", "--help"), ("-h", "halt")])
def test_who_asks_for_help_gets_help(owner: CommandLine, arguments: tuple[str, ...]) -> None:
    """And is told of every option."""
    ran = owner(*arguments)
    assert (ran.exit, ran.out.startswith("usage: ")) == (0, True)


@pytest.mark.parametrize(
    ("reply", "end", "last"),
    [
        (HANG_UP, 3, "NOT halted, as far as is known: repeat ./interlock halt, or ask the operator"),
        (Reply(500, {"message": "x"}), 4, "NOT halted: ./interlock halt, or ask the operator"),
        (Reply(200, "x"), 1, "NOT halted: ./interlock halt, or ask the operator"),
        (Reply(200, {"trading_state": "ACTIVE"}), 3, "NOT halted, as far as is known"),
        (Reply(401, {"message": "JWT expired"}), 1, "NOT halted: ./interlock halt, or ask the operator"),
        (Reply(404, {"code": "PT404", "message": "NO_POLICY", "details": "x"}), 1, "NOT halted: without"),
    ],
)
@pytest.mark.parametrize("options", [(), ("--json",)])
def test_the_last_line_of_a_halt_that_failed_is_what_to_do(
    owner: CommandLine,
    deployment: Deployment,
    reply: Reply,
    end: int,
    last: str,
    options: tuple[str, ...],
) -> None:
    """The owner must not go back to sleep, however it failed."""
    deployment.says(STATE, reply)
    ran = owner("halt", *options)
    assert (ran.exit, ran.err.splitlines()[-1][: len(last)]) == (end, last)
    if options:
        assert ran.json["halted"] is False


def test_a_halt_of_nobody_is_no_halt(
    interlock: CommandLine, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is signed in, an address is wrong, a key is missing, something breaks: the last line says so."""
    assert "NOT halted: ./interlock login, then" in interlock("halt").err.splitlines()[-1]
    assert "NOT halted: set what is missing" in interlock("halt", "--all", "why").err.splitlines()[-1]
    monkeypatch.setenv("SUPABASE_URL", "http://elsewhere.example.com")
    assert "NOT halted: " in interlock("halt").err.splitlines()[-1]
    monkeypatch.setenv("SUPABASE_SECRET_KEY", "sb_secret_canary\udce9")
    monkeypatch.setenv("SUPABASE_URL", deployment.server.url)
    ran = interlock("halt", "--all", "why")
    assert "NOT halted: " in ran.err.splitlines()[-1]
    assert "canary" not in ran.err

    def breaks(*_: object) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(halting.Operator, "of", breaks)
    ran = interlock("halt", "--all", "why")
    assert (ran.exit, "a fault" in ran.err) == (3, True)
    assert "NOT halted, as far as is known" in ran.err.splitlines()[-1]


def test_a_refused_halt_is_not_repeated(owner: CommandLine, deployment: Deployment) -> None:
    """Who has no policy cannot trade anyway; asking again would change nothing."""
    deployment.says(
        STATE, Reply(404, {"code": "PT404", "message": "NO_POLICY", "details": "Set a policy first."})
    )
    ran = owner("halt", "--json")
    assert (ran.exit, ran.json["code"], ran.json["error"]) == (1, "NO_POLICY", "Set a policy first.")
    assert len(deployment.server.of(STATE)) == 1


def test_the_operator_halts_everybody_with_a_reason(operator: CommandLine, deployment: Deployment) -> None:
    """With the secret key alone: nobody needs to be signed in, and the key is shown nowhere."""
    deployment.says(HALT_ALL, Reply(200, ALL))
    ran = operator("halt", "--all", "going", "on holiday")
    assert (ran.exit, ran.out.splitlines()[:2]) == (
        0,
        [
            f"The operator at {deployment.server.url}: live: take it for real money",
            "Everybody's trading is halted.",
        ],
    )
    (asked,) = deployment.server.of(HALT_ALL)
    assert asked.body == {"p_reason": "going on holiday"}
    assert asked.headers["authorization"] == "Bearer sb_secret_canary"
    assert "canary" not in ran.out + ran.err
    assert not operator.folder.exists()


def test_a_halt_of_everybody_without_a_reason_halts(operator: CommandLine, deployment: Deployment) -> None:
    """That it should have one is said afterwards."""
    deployment.says(HALT_ALL, Reply(200, ALL))
    ran = operator("halt", "--all")
    assert (ran.exit, len(deployment.server.of(HALT_ALL))) == (0, 1)
    assert "Say why as well" in ran.out.splitlines()[-1]


def test_everybody_needs_the_secret_key(owner: CommandLine, deployment: Deployment) -> None:
    """An owner's token is not enough, and is not tried."""
    before = len(deployment.server.asked)
    ran = owner("halt", "--all", "why")
    assert (ran.exit, "SUPABASE_SECRET_KEY" in ran.err) == (2, True)
    assert len(deployment.server.asked) == before


def test_resuming_shows_what_was_halted_and_uses_that_version(
    owner: CommandLine, deployment: Deployment
) -> None:
    """State, since when and why are shown first; the version is the one that was looked at."""
    reason = "set by the owner: tired; three refusals"
    deployment.says(POLICIES, Reply(200, [OWN | {"state_reason": reason}]))
    deployment.says(CONTROLS, Reply(200, [{"trading_state": "HALTED", "mode": "live"}]))
    deployment.says(STATE, Reply(200, {"trading_state": "ACTIVE", "version": "5"}))
    ran = owner("resume", "--yes")
    assert ran.exit == 0
    first, *reasons, last = ran.out.splitlines()[:4]
    assert first == "Your trading is HALTED since 2026-11-24 09:00:00 UTC."
    assert reasons == ["Reason: set by the owner: tired", "Reason: three refusals"]
    assert last == "Your trading is active again."
    more = ran.out.splitlines()[4:]
    assert "Everybody's trading is HALTED all the same" in " ".join(more)
    assert deployment.server.of(STATE)[0].body == {"p_state": "ACTIVE", "p_version": 4}


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_nothing_is_resumed_where_nobody_can_be_asked(
    owner: CommandLine, deployment: Deployment, arguments: tuple[str, ...]
) -> None:
    """Without a terminal it takes --yes: exit 2, and nothing was changed."""
    deployment.says(POLICIES, Reply(200, [OWN]))
    ran = owner("resume", *arguments, stdin="y\n")
    assert ran.exit == 2
    assert deployment.server.of(STATE) == []


@pytest.mark.usefixtures("owner")
@pytest.mark.parametrize(("answer", "end", "changes"), [("y", 0, 1), ("", 1, 0), ("no", 1, 0)])
def test_on_a_terminal_the_owner_is_asked(
    deployment: Deployment, answer: str, end: int, changes: int
) -> None:
    """Anything but a yes changes nothing."""
    deployment.says(POLICIES, Reply(200, [OWN]))
    deployment.says(CONTROLS, Reply(200, [{"trading_state": "ACTIVE", "mode": "live"}]))
    deployment.says(STATE, Reply(200, {"trading_state": "ACTIVE", "version": "5"}))
    ran = on_a_terminal("resume", answers=[("Resume your trading? [y/N] ", answer)])
    assert "three refusals" in ran.out
    assert (ran.exit, len(deployment.server.of(STATE))) == (end, changes)


@pytest.mark.usefixtures("owner")
@pytest.mark.parametrize("colours", [True, False])
def test_a_terminal_has_colours_unless_no_color_is_set(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, colours: bool
) -> None:
    """https://no-color.org: any value but an empty one means none."""
    monkeypatch.setenv("TERM", "xterm-256color")
    if not colours:
        monkeypatch.setenv("NO_COLOR", "1")
    row = {"id": PROPOSAL, "side": "buy", "market": "BTC-EUR", "status": "FILLED", "claimed_at": "x"}
    deployment.says("/status", Reply(200, status(last_execution=row)))
    ran = on_a_terminal("status", answers=[])
    assert ran.exit == 0
    assert ("\x1b[" in ran.out) is colours


def test_what_changed_meanwhile_is_looked_at_again(owner: CommandLine, deployment: Deployment) -> None:
    """A newer version means that something happened since: refused, with the database's sentence."""
    deployment.says(POLICIES, Reply(200, [OWN]))
    stale = {
        "code": "PT409",
        "message": "STALE_VERSION",
        "details": "Loosening needs the current version, 5.",
    }
    deployment.says(STATE, Reply(409, stale))
    ran = owner("resume", "--yes", "--json")
    assert (ran.exit, ran.json["code"]) == (1, "STALE_VERSION")


def test_what_is_active_needs_no_resuming(owner: CommandLine, deployment: Deployment) -> None:
    """Exit 0, and nothing is asked or changed."""
    deployment.says(POLICIES, Reply(200, [OWN | {"trading_state": "ACTIVE"}]))
    deployment.says(CONTROLS, Reply(200, [{"trading_state": "ACTIVE", "mode": "live"}]))
    ran = owner("resume")
    assert (ran.exit, ran.out) == (0, "Your trading is active already.\n")
    assert deployment.server.of(STATE) == []


def test_the_operator_resumes_everybody(operator: CommandLine, deployment: Deployment) -> None:
    """Shown first, with the mode that trading goes on in; state and reason are changed, nothing else."""
    deployment.says(CONTROLS, Reply(200, [ALL]))
    deployment.says(SET_CONTROLS, Reply(200, ALL | {"trading_state": "ACTIVE"}))
    ran = operator("resume", "--all", "--yes")
    assert ran.exit == 0
    assert "Reason: an intruder" in ran.out
    assert deployment.server.of(SET_CONTROLS)[0].body == {
        "p_changes": {"trading_state": "ACTIVE", "reason": "resumed by the operator"},
        "p_version": 9,
    }


def test_proposals_show_what_an_owner_decides_by(owner: CommandLine, deployment: Deployment) -> None:
    """Order, time left, price, confidence and the model's reason."""
    sell = proposal(
        side="sell", amount="0.002", amount_quote=None, limit_price="63000", id="c" + PROPOSAL[1:]
    )
    deployment.says("/status", Reply(200, status(pending_proposals=[proposal(), sell])))
    ran = owner("proposals")
    said = " ".join(ran.out.split())
    assert ran.exit == 0
    assert "b15bc6d5 buy 149.00 EUR of BTC-EUR" in said
    assert "sell 0.002 BTC on BTC-EUR, limit 63,000.00 EUR" in said
    assert "in 12 min, at 2026-11-24 09:12:30 UTC" in said
    assert "62,355.00 EUR, confidence 79.80" in said
    assert "it is cheap" in said
    assert owner("proposals", "--json").json["proposals"][0]["id"] == PROPOSAL
    assert owner("--json", "proposals").json["proposals"][0]["id"] == PROPOSAL


def test_a_models_words_cannot_steer_the_terminal(owner: CommandLine, deployment: Deployment) -> None:
    """Escapes, line feeds and direction marks of a rationale are shown as replaced, and markup as it is."""
    sly = "fine\x1b[2J\x1b]0;owned\x07\r\nREFUSED \u202egnitrevni [red]x[/red] :warning:"
    deployment.says("/status", Reply(200, status(pending_proposals=[proposal(rationale=sly)])))
    ran = owner("proposals")
    assert not any(sign in ran.out for sign in ("\x1b", "\x07", "\r", "\u202e"))
    assert "[red]x[/red] :warning:" in " ".join(ran.out.split())


def test_status_shows_all_that_an_owner_wants_to_know(owner: CommandLine, deployment: Deployment) -> None:
    """States and reasons, limits, windows, unsettled and last executions, budget, the comparison's age."""
    execution = {
        "id": "faa1cfda-fdd3-5d9b-8ffd-248810f2d71d",
        "proposal_id": PROPOSAL,
        "market": "BTC-EUR",
        "side": "buy",
        "status": "UNKNOWN",
        "error_code": "NO_ANSWER",
        "claimed_at": "2026-11-24T08:48:00+00:00",
    }
    told = status(
        trading=status()["trading"] | {"state": "HALTED", "owner_state": "HALTED", "owner_reason": "tired"},
        reconciliation={
            "age_seconds": None,
            "stale": True,
            "unread_markets": ["ETH-EUR", "ADA-EUR"],
            "warnings": [
                {"code": "OPERATOR_IDS_NOT_SHOWN", "markets": ["BTC-EUR"], "sentence": "None is shown."}
            ],
        },
        windows=[{"asset": "BTC", "cooldown_until": "2026-11-24T09:59:00+00:00"}],
        unsettled_executions=[execution],
        last_execution=execution | {"status": "FILLED", "error_code": None, "filled_amount": "0.5"},
    )
    deployment.says("/status", Reply(200, told))
    ran = owner("status")
    said = " ".join(ran.out.split())
    assert ran.exit == 0
    for part in (
        "HALTED, live",
        "HALTED: tired",
        "None is shown. (OPERATOR_IDS_NOT_SHOWN)",
        "the approvals: none yet; too long ago, so no live order is claimed",
        "not read ETH-EUR, ADA-EUR",
        "1 of 5 trades, 147.52 EUR of 1,000.00 EUR",
        "one order up to 1,000.00 EUR",
        "1 of 20 today, 1 of 4 in the last hour",
        "No proposal is pending.",
        "BTC 59 min - -",
        "faa1cfda buy BTC-EUR: UNKNOWN proposal b15bc6d5, claimed 12 min ago",
        "its fate is not known yet",
        "buy BTC-EUR: FILLED",
        "Filled: bought 0.5 BTC",
    ):
        assert part in said
    assert owner("status", "--json").json == told


@pytest.mark.parametrize("width", [50, 80, 200])
def test_no_line_is_wider_than_the_terminal(
    owner: CommandLine, deployment: Deployment, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    """Long reasons and tables are folded."""
    monkeypatch.setenv("COLUMNS", str(width))
    told = status(pending_proposals=[proposal(rationale="word " * 100)])
    deployment.says("/status", Reply(200, told))
    assert max(map(len, owner("status").out.splitlines())) <= width


def test_without_a_terminal_there_is_no_colour(owner: CommandLine, deployment: Deployment) -> None:
    """What is piped into a file is plain text."""
    deployment.says("/status", Reply(200, status()))
    assert "\x1b" not in owner("status").out


@pytest.mark.parametrize("reply", [HANG_UP, Reply(502, "bad"), Reply(200, "x"), Reply(200, [])])
def test_a_status_that_cannot_be_had_is_unavailable(
    owner: CommandLine, deployment: Deployment, reply: Reply
) -> None:
    """Exit 4; in JSON the failure is one object as well."""
    deployment.says("/status", reply)
    assert owner("status").exit == 4
    told = owner("proposals", "--json")
    assert (told.exit, set(json.loads(told.out)) >= {"error", "code"}) == (4, True)


def test_the_exit_codes_are_in_the_help(interlock: CommandLine) -> None:
    """Whoever writes a script finds them where they look first."""
    ran = interlock("--help")
    assert ran.exit == 0
    assert [f"  {number}  " in ran.out for number in range(6)] == [True] * 6


def test_times_are_told_on_the_walls_clock_and_in_utc(
    owner: CommandLine, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Limits turn at midnight UTC, and people live elsewhere; where the day differs it is named."""
    row = proposal(expires_at="2026-11-24T23:12:30+00:00")
    deployment.says("/status", Reply(200, status(pending_proposals=[proposal(), row])))
    monkeypatch.setenv("TZ", "Europe/Amsterdam")
    time.tzset()
    try:
        said = " ".join(owner("proposals").out.split())
    finally:
        monkeypatch.setenv("TZ", "UTC")
        time.tzset()
    assert "at 2026-11-24 10:12:30 CET (09:12 UTC)" in said
    assert "at 2026-11-25 00:12:30 CET (2026-11-24 23:12 UTC)" in said


def test_the_version_is_the_projects(interlock: CommandLine) -> None:
    """What a report of a fault names."""
    version = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]
    assert interlock("--version").out == f"interlock {version}\n"
