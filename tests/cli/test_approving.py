"""An approval's end is told as it is known: done, refused, unknown, unavailable; never more than is known."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from cli import approving, web
from cli.sentences import SENTENCES, wanted, why
from functions.execute.checks import CHECKS
from tests.cli.conftest import (
    EMAIL,
    PROPOSAL,
    CommandLine,
    Deployment,
    on_a_terminal,
    proposal,
    status,
)
from tests.loopback import HANG_UP, Reply

pytestmark = pytest.mark.unit

EXECUTION: dict[str, Any] = {
    "id": "faa1cfda-fdd3-5d9b-8ffd-248810f2d71d",
    "proposal_id": PROPOSAL,
    "market": "BTC-EUR",
    "asset": "BTC",
    "side": "buy",
    "status": "FILLED",
    "filled_amount": "0.00236213",
    "filled_amount_quote": "147.15",
    "fee": "0.37",
    "fee_currency": "EUR",
    "error_code": None,
}


def executed(status: str, **fields: object) -> dict[str, Any]:
    return {"execution": EXECUTION | {"status": status} | fields, "recorded": True}


def failed(check: str, code: str, **facts: object) -> dict[str, Any]:
    return {"check": check, "verdict": "FAILED", "code": code, "facts": facts}


@pytest.mark.usefixtures("owner")
@pytest.mark.parametrize(("answer", "end"), [("y", 0), ("", 1), ("n", 1)])
def test_what_an_approval_could_come_to_is_shown_before_it_is_asked_about(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, answer: str, end: int
) -> None:
    """Whose trading, which money, the order, the worst price, the fee, until when; nothing without a yes."""
    monkeypatch.setenv("NO_COLOR", "1")
    deployment.says("/status", Reply(200, status(pending_proposals=[proposal()])))
    deployment.says("/", Reply(200, executed("FILLED")))
    ran = on_a_terminal("approve", PROPOSAL, answers=[("Approve it? [y/N] ", answer)])
    said = " ".join(ran.out.split())
    for part in (
        f"{EMAIL} at {deployment.server.url}: live, against a simulated exchange: no real money",
        "proposal b15bc6d5 buy 149.00 EUR of BTC-EUR",
        "price 62,355.00 EUR when it was proposed; at worst 62,978.55 EUR",
        "spends at most 149.00 EUR, the fee of up to 0.25 % included",
        "expires in 12 min, at 2026-11-24 09:12:30",
    ):
        assert part in said
    assert (ran.exit, len(deployment.server.of("/"))) == (end, 1 - end)
    assert ("Nothing was sent." in said) is (end == 1)


def test_a_sell_shows_what_it_brings_at_worst(owner: CommandLine, deployment: Deployment) -> None:
    """Amount by worst price, before the fee."""
    sell = proposal(side="sell", amount="0.4", amount_quote=None, worst_price="61731.45")
    deployment.says("/status", Reply(200, status(pending_proposals=[sell])))
    deployment.says("/", Reply(200, executed("FILLED")))
    ran = owner("approve", PROPOSAL, "--yes")
    said = " ".join(ran.out.split())
    assert "sell 0.4 BTC on BTC-EUR" in said
    assert "brings at worst 24,692.58 EUR, less the fee of up to 0.25 %" in said


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_where_nobody_can_be_asked_nothing_pending_is_approved(
    owner: CommandLine, deployment: Deployment, options: tuple[str, ...]
) -> None:
    """Exit 2 without --yes; a full list of pending ones may hide this one, so that is asked about too."""
    for pending in ([proposal()], [proposal(id=str(number)) for number in range(100)]):
        deployment.says("/status", Reply(200, status(pending_proposals=pending)))
        assert owner("approve", PROPOSAL, *options, stdin="y\n").exit == 2
    assert deployment.server.of("/") == []


def test_what_is_not_pending_is_approved_again_without_a_question(
    owner: CommandLine, deployment: Deployment
) -> None:
    """A repeat sends nothing and tells what happened."""
    deployment.says("/", Reply(409, executed("FILLED") | {"code": "ALREADY_EXECUTED"}))
    ran = owner("approve", PROPOSAL)
    assert (ran.exit, "approved before" in ran.out) == (0, True)


def test_it_is_said_why_less_was_spent_than_approved(owner: CommandLine, deployment: Deployment) -> None:
    """From what was ordered and what was filled, as they came."""
    body = '{"amount": "0.00236000", "price": "62978.55"}'
    facts = {"order_value": "149.00", "request": {"body": body}}
    deployment.says("/", Reply(200, executed("FILLED", **facts)))
    said = " ".join(owner("approve", PROPOSAL, "--yes").out.split())
    assert (
        "You approved at most 149.00 EUR, fee included: enough for 0.00236000 BTC at up to 62,978.55 EUR."
        " Bought at 62,295.47 EUR, that came to 147.52 EUR."
    ) in said
    deployment.says("/", Reply(200, executed("FILLED", side="sell", **facts)))
    assert "You approved" not in owner("approve", PROPOSAL, "--yes").out


def test_an_approval_is_one_request(owner: CommandLine, deployment: Deployment) -> None:
    """The proposal and both overrides, with the owner's token, to execute; and it is said what was bought."""
    deployment.says("/", Reply(200, executed("FILLED")))
    ran = owner("approve", PROPOSAL, "--override-cooldown", "--yes")
    assert ran.exit == 0
    assert "bought 0.00236213 BTC for 147.15 EUR, fee 0.37 EUR" in ran.out
    (asked,) = deployment.server.of("/")
    assert (asked.method, asked.headers["authorization"]) == ("POST", "Bearer access-1")
    assert asked.body == {"proposalId": PROPOSAL, "overrideCooldown": True, "overrideAntiFlip": False}


@pytest.mark.parametrize(
    ("http", "code", "status", "end"),
    [
        (200, None, "FILLED", 0),
        (200, None, "PARTIALLY_FILLED", 0),
        (200, None, "CANCELED", 0),
        (200, None, "DRY_RUN", 0),
        (202, "UNKNOWN", "UNKNOWN", 3),
        (409, "EXECUTION_IN_PROGRESS", "CLAIMED", 3),
        (409, "EXECUTION_IN_PROGRESS", "UNKNOWN", 3),
        (409, "ALREADY_EXECUTED", "FILLED", 0),
        (409, "ALREADY_EXECUTED", "CANCELED", 0),
        (409, "ALREADY_EXECUTED", "REJECTED", 1),
        (409, "ALREADY_EXECUTED", "NOT_PLACED", 1),
        (422, "ORDER_REJECTED", "REJECTED", 1),
        (503, "UNAVAILABLE", "NOT_PLACED", 1),
    ],
)
def test_what_became_of_the_execution_decides_the_exit_code(
    owner: CommandLine, deployment: Deployment, http: int, code: str | None, status: str, end: int
) -> None:
    """Whether this approval or an earlier one: a script that repeats learns the same."""
    deployment.says("/", Reply(http, executed(status) | ({"code": code} if code else {})))
    assert owner("approve", PROPOSAL, "--yes").exit == end
    told = owner("approve", PROPOSAL, "--json", "--yes")
    assert (told.exit, told.err) == (end, "")
    assert (told.json["execution"]["status"], told.json["httpStatus"]) == (status, http)


@pytest.mark.parametrize(
    "reply",
    [
        HANG_UP,
        Reply(502, "<html>bad gateway</html>"),
        Reply(503, "no available instance"),
        Reply(503, {"error": {"code": 503}}),
        Reply(504, ""),
        Reply(500, {"message": "boom"}),
        Reply(200, "not JSON"),
        Reply(200, {"recorded": True}),
        Reply(200, []),
        Reply(301, "", {"Location": "https://elsewhere.example.com/"}),
        Reply(403, "<html>forbidden</html>"),
    ],
)
def test_what_is_not_answered_in_our_words_is_unknown(
    owner: CommandLine, deployment: Deployment, reply: Reply
) -> None:
    """The order may have been placed: exit 3, nobody says that it was not; repeating is said to be safe."""
    deployment.says("/", reply)
    ran = owner("approve", PROPOSAL, "--yes")
    assert (ran.exit, len(ran.out.splitlines())) == (3, 1)
    assert "whether the order was placed is not known" in ran.err
    assert "Repeat the same command: that is safe" in ran.err
    assert "not placed" not in ran.err.lower()
    told = owner("approve", PROPOSAL, "--json", "--yes")
    assert (told.exit, told.json["code"], told.json["proposalId"]) == (3, "NO_ANSWER", PROPOSAL)
    assert len(deployment.server.of("/")) == 2


@pytest.mark.parametrize("error", [httpx.ReadTimeout("late"), httpx.WriteError("cut"), KeyboardInterrupt()])
def test_an_approval_that_breaks_off_is_unknown(
    owner: CommandLine, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """A time-out, a cut, and the owner's own Ctrl-C: what has left cannot be called back."""

    class Breaking(httpx.Client):
        def send(self, request: httpx.Request, **others: Any) -> httpx.Response:
            if request.method == "GET":
                return super().send(request, **others)
            raise error

    monkeypatch.setattr(web, "httpx", _with_client(Breaking))
    ran = owner("approve", PROPOSAL, "--yes")
    assert ran.exit == 3
    assert "not known" in ran.err


def _with_client(client: type[httpx.Client]) -> Any:
    """The module httpx with another client: an injected boundary."""

    class Module:
        Client = client

        def __getattr__(self, name: str) -> Any:
            return getattr(httpx, name)

    return Module()


def test_what_never_left_is_said_to_be_unsent(owner: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a connection not a byte has left: exit 4, and the address is named."""
    monkeypatch.setenv("INTERLOCK_URL", "http://127.0.0.1:9")
    ran = owner("approve", PROPOSAL, "--yes")
    assert ran.exit == 4
    assert "http://127.0.0.1:9 gave no answer" in ran.err
    assert "This approval was not sent" in ran.err


@pytest.mark.parametrize(
    ("reply", "end", "said"),
    [
        (Reply(503, {"error": "Too much is going on.", "code": "BUSY"}), 4, "Too much is going on."),
        (Reply(503, {"error": "The database is away.", "code": "UNAVAILABLE"}), 4, "The database is away."),
        (Reply(404, {"error": "There is none.", "code": "PROPOSAL_NOT_FOUND"}), 1, "There is none."),
        (Reply(403, {"error": "Not an owner.", "code": "NOT_AN_OWNER"}), 1, "Not an owner."),
        (Reply(401, {"error": "Sign in.", "code": "UNAUTHORIZED"}), 2, "Sign in."),
    ],
)
def test_a_refusal_in_our_words_is_believed(
    owner: CommandLine, deployment: Deployment, reply: Reply, end: int, said: str
) -> None:
    """Nothing was placed, and the sentence is execute's own."""
    deployment.says("/", reply)
    ran = owner("approve", PROPOSAL, "--yes")
    assert (ran.exit, ran.err) == (end, f"{said}\n")


def test_a_refused_approval_shows_every_failed_check_with_its_facts(
    owner: CommandLine, deployment: Deployment
) -> None:
    """What failed is a sentence with its numbers; what passed is left out; the undecided are counted."""
    checks = [
        {"check": "quote_currency", "verdict": "PASSED", "code": None, "facts": {"quote": "EUR"}},
        failed("daily_trades", "DAILY_TRADES_EXHAUSTED", used="5", limit="5"),
        failed(
            "cooldown",
            "COOLDOWN_ACTIVE",
            asset="BTC",
            last_trade_at="2026-11-24T09:00:00.123+00:00",
            until="2026-11-24T10:00:00.123+00:00",
            minutes="60",
        ),
        failed("spread", "SPREAD_TOO_WIDE", unread="TIMED_OUT"),
        failed("brand_new", "NOT_YET_KNOWN_HERE", some_fact="7"),
        {"check": "clock", "verdict": "NOT_EVALUATED", "code": None, "facts": {}},
        {"check": "window", "verdict": "NOT_EVALUATED", "code": None, "facts": {}},
    ]
    deployment.says(
        "/", Reply(422, {"error": "Nothing was sent.", "code": "CHECKS_FAILED", "checks": checks})
    )
    ran = owner("approve", PROPOSAL, "--yes")
    said = " ".join(ran.out.split())
    assert ran.exit == 1
    assert "Refused; nothing was sent." in said
    assert "5 of your 5 trades of this UTC day are used." in said
    assert "BTC was traded at 2026-11-24 09:00:00" in said
    assert "--override-cooldown" in said
    assert "The exchange did not tell (TIMED_OUT)" in said
    assert "NOT_YET_KNOWN_HERE brand_new: some fact 7." in said
    assert "quote_currency" not in said
    assert "2 more checks were not evaluated" in said
    assert owner("approve", PROPOSAL, "--json", "--yes").json["checks"] == checks


def test_every_check_and_code_has_a_sentence_of_its_own_facts() -> None:
    """The registry's checks are the ones that are explained, each with facts that its verdict carries."""
    assert set(SENTENCES) == {(check.name, code) for check in CHECKS for code in check.codes}
    facts = {check.name: set(check.facts) for check in CHECKS}
    told_when_it_failed = {"policy_complete": {"error"}, "order_exists": {"order_id", "status"}}
    for (check, _), sentence in SENTENCES.items():
        assert wanted(sentence) <= facts[check] | told_when_it_failed.get(check, set()), sentence


def test_a_verdict_without_the_facts_is_explained_all_the_same() -> None:
    """The database judges the clock by other facts than the function: they are shown as they are."""
    told = why(failed("window", "TOO_LATE", access_timestamp="1", database_ms="9"))
    assert told == "window: access timestamp 1, database ms 9."
    assert (
        why({"check": "spread", "code": "SPREAD_TOO_WIDE", "facts": None}) == "spread: no facts were given."
    )


def test_a_beginning_of_an_id_is_enough(owner: CommandLine, deployment: Deployment) -> None:
    """It is looked for among one's own proposals, as the range of ids that begin so."""
    deployment.says("/rest/v1/trade_proposals", Reply(200, [{"id": PROPOSAL}]))
    deployment.says("/", Reply(200, executed("FILLED")))
    assert owner("approve", "B15BC6D5-A5", "--yes").exit == 0
    (asked,) = deployment.server.of("/rest/v1/trade_proposals")
    assert [value for name, value in asked.query if name == "id"] == [
        "gte.b15bc6d5-a500-0000-0000-000000000000",
        "lte.b15bc6d5-a5ff-ffff-ffff-ffffffffffff",
    ]
    assert deployment.server.of("/")[0].body["proposalId"] == PROPOSAL


@pytest.mark.parametrize(
    "found",
    [
        [],
        [
            proposal(status="PENDING"),
            proposal(id="b15bc6d5-0000-4000-8000-000000000000", side="sell", amount="1", status="EXPIRED"),
        ],
    ],
)
def test_a_beginning_of_none_or_several_approves_nothing(
    owner: CommandLine, deployment: Deployment, found: list[dict[str, Any]]
) -> None:
    """None is a refusal; of several, all are named and the call is wrong."""
    deployment.says("/rest/v1/trade_proposals", Reply(200, found))
    ran = owner("approve", "b15bc6", "--json", "--yes")
    assert ran.exit == (2 if found else 1)
    assert [one["id"] for one in ran.json.get("proposals", [])] == [one["id"] for one in found]
    if found:
        told = owner("approve", "b15bc6", "--yes").err.splitlines()[1:]
        assert told == [
            f"  {PROPOSAL}  buy 149.00 EUR of BTC-EUR, PENDING",
            "  b15bc6d5-0000-4000-8000-000000000000  sell 1 BTC on BTC-EUR, EXPIRED",
        ]
    assert deployment.server.of("/") == []


@pytest.mark.parametrize(
    "given", ["", "b15", "b15bc", "b-15bc6", "b15bc6d5a-5", "g15bc6d5", f"{PROPOSAL}0", "b15b%", "../b15b"]
)
def test_what_begins_no_id_asks_nobody(owner: CommandLine, deployment: Deployment, given: str) -> None:
    """Exit 2 before a request is made."""
    before = len(deployment.server.asked)
    assert owner("approve", given).exit == 2
    assert len(deployment.server.asked) == before


def test_a_decline_says_what_was_declined_or_why_not(owner: CommandLine, deployment: Deployment) -> None:
    """Only what is pending can be declined; a repeat is no error."""
    answer = {"outcome": "declined", "proposal": {"id": PROPOSAL, "status": "DECLINED"}}
    late = {"outcome": "unchanged", "proposal": {"id": PROPOSAL, "status": "EXECUTED"}}
    deployment.says("/rest/v1/rpc/decline_proposal", Reply(200, answer), Reply(200, late))
    assert owner("decline", PROPOSAL).exit == 0
    ran = owner("decline", PROPOSAL)
    assert (ran.exit, "EXECUTED" in ran.err) == (1, True)
    assert deployment.server.of("/rest/v1/rpc/decline_proposal")[0].body == {"p_proposal_id": PROPOSAL}


def test_execute_is_waited_for_longer_than_it_takes() -> None:
    """A time-out before execute has ended would turn a known fate into an unknown one."""
    from functions.execute import protocol, service

    longest_s = (
        service.ORDER_TIMEOUT_S + protocol.LOOK_AGAIN_FOR_S + protocol.RECORD_AGAIN_FOR_S + 4 * 10.0 + 10.0
    )
    assert longest_s <= approving.APPROVAL_PATIENCE_S
