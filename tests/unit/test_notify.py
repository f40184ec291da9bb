"""A message to a person arrives in the form that its receiver reads, once, and never gets in the way."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from shared import notify as module
from shared.log import configure
from shared.notify import LONGEST_TEXT, Form, form_of, notify
from tests.loopback import HANG_UP, Reply, serving

pytestmark = pytest.mark.unit

SECRET = "very-secret-path"
TEXT = "Trading was halted (operator): going to sleep."


@pytest.fixture(autouse=True)
def _configured() -> None:
    configure("cleanup")


def failures(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """The lines that were logged; none may hold the address, or what the receiver answered."""
    out = capsys.readouterr().out
    assert SECRET not in out
    assert "127.0.0.1" not in out
    assert "canary" not in out
    return [json.loads(line) for line in out.splitlines()]


@pytest.mark.parametrize(
    ("url", "form"),
    [
        ("https://ntfy.sh/topic", Form.NTFY),
        ("https://push.example.com/topic", Form.NTFY),
        ("https://hooks.slack.com/services/T/B/X", Form.SLACK),
        ("https://hooks.slack.com.evil.example/x", Form.NTFY),
        ("https://mattermost.example.com/hooks/x#slack", Form.SLACK),
        ("https://api.telegram.org/bot1:x/sendMessage?chat_id=5", Form.TELEGRAM),
        ("https://gateway.example.com/bot1:x/sendMessage?chat_id=5#telegram", Form.TELEGRAM),
        ("https://hooks.slack.com/services/x#ntfy", Form.NTFY),
    ],
)
def test_the_host_or_the_fragment_says_the_form(url: str, form: Form) -> None:
    """Three kinds of receivers by their hosts; a host of one's own says it at the end of the address."""
    assert form_of(url) is form


def test_ntfy_reads_plain_text_under_a_title(capsys: pytest.CaptureFixture[str]) -> None:
    """The body is the text itself, and the query, which may hold a token, is kept."""
    with serving(lambda _: Reply(200, {"id": "x"})) as person:
        notify(f"{person.url}/{SECRET}?auth=abc", "Trading was halted: “é”")
    (heard,) = person.asked
    assert (heard.method, heard.path, heard.query) == ("POST", f"/{SECRET}", [("auth", "abc")])
    assert heard.raw.decode() == "Trading was halted: “é”"
    assert heard.headers["title"] == "Interlock"
    assert heard.headers["content-type"] == "text/plain; charset=utf-8"
    assert failures(capsys) == []


def test_slack_reads_json_and_no_markup_of_ours(capsys: pytest.CaptureFixture[str]) -> None:
    """A reason that somebody wrote calls nobody and links nowhere."""
    with serving(lambda _: Reply(200, "ok")) as person:
        notify(f"{person.url}/services/{SECRET}#slack", "halted: <!channel> & <https://x|y>")
    (heard,) = person.asked
    assert heard.path == f"/services/{SECRET}"
    assert heard.body == {"text": "Interlock: halted: &lt;!channel&gt; &amp; &lt;https://x|y&gt;"}
    assert heard.headers["content-type"] == "application/json"
    assert failures(capsys) == []


def test_telegram_reads_the_chat_beside_the_text(capsys: pytest.CaptureFixture[str]) -> None:
    """The query becomes the message's fields, and the address that is asked holds it no more."""
    with serving(lambda _: Reply(200, {"ok": True})) as person:
        notify(f"{person.url}/bot1:{SECRET}/sendMessage?chat_id=-100&message_thread_id=7#telegram", TEXT)
    (heard,) = person.asked
    assert (heard.path, heard.query) == (f"/bot1:{SECRET}/sendMessage", [])
    assert heard.body == {"chat_id": "-100", "message_thread_id": "7", "text": f"Interlock: {TEXT}"}
    assert failures(capsys) == []


def test_a_text_is_one_short_line() -> None:
    """Whatever a reason holds: no line feed, no escape, and no more than fits a phone."""
    with serving(lambda _: Reply(200)) as person:
        notify(person.url, "a\r\nb\x1b[2J\u202e")
        notify(person.url, "x" * 5000)
    short, long = (heard.raw.decode() for heard in person.asked)
    assert short == "a  b [2J "
    assert (len(long), long[-1]) == (LONGEST_TEXT, "…")


def test_without_an_address_nothing_happens(capsys: pytest.CaptureFixture[str]) -> None:
    """No address, no thread, no line."""
    before = threading.active_count()
    notify(None, TEXT)
    assert threading.active_count() == before
    assert failures(capsys) == []


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(500, "canary"), "HTTP 500"),
        (Reply(403, {"error": "canary"}), "HTTP 403"),
        (HANG_UP, "RemoteProtocolError"),
    ],
)
def test_a_failure_is_one_line_and_one_attempt(
    reply: Reply, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is raised and nothing repeated; the line says what kind of failure it was."""
    with serving(lambda _: reply) as person:
        notify(f"{person.url}/{SECRET}", TEXT)
    assert len(person.asked) == 1
    (line,) = failures(capsys)
    assert (line["event"], line["reason"]) == ("notify_failed", reason)


def test_nobody_there_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A receiver that refuses the connection, and an address that is none."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    notify(f"http://127.0.0.1:{port}/{SECRET}", TEXT)
    notify(f"http://[{SECRET}", TEXT)
    refused, malformed = failures(capsys)
    assert (refused["reason"], malformed["reason"]) == ("ConnectError", "ValueError")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(status: int, capsys: pytest.CaptureFixture[str]) -> None:
    """The message, and the token in its address, go where the operator said and nowhere else."""
    with serving(lambda _: Reply(200)) as other:
        away = Reply(status, "", {"Location": f"{other.url}/canary"})
        with serving(lambda _: away) as person:
            notify(f"{person.url}/{SECRET}", TEXT)
    assert other.asked == []
    (line,) = failures(capsys)
    assert line["reason"] == f"HTTP {status}"


@contextmanager
def _hanging(*, drip: bytes = b"") -> Iterator[str]:
    """A receiver that takes the connection and never answers, or in drops."""
    over = threading.Event()
    taken: list[socket.socket] = []

    def take() -> None:
        listener.settimeout(10)
        connection, _ = listener.accept()
        taken.append(connection)
        while drip and not over.wait(0.05):
            try:
                connection.sendall(drip)
            except OSError:
                return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/{SECRET}"
        over.set()
        thread.join()
        for connection in taken:
            connection.close()


@pytest.mark.parametrize("drip", [b"", b"HTTP/1.1 200 OK\r\nX: "])
def test_a_receiver_that_hangs_is_left(
    drip: bytes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Silent or in drops: the time for an answer is one for all of it."""
    monkeypatch.setattr(module, "_ANSWERED_WITHIN_S", 0.2)
    with _hanging(drip=drip) as url:
        notify(url, TEXT)
    (line,) = failures(capsys)
    assert line["reason"] == "ReadTimeout"


def test_what_hangs_before_a_connection_is_left_as_well(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The look-up of a name has no time-out of its own: the caller goes on all the same."""
    over = threading.Event()

    def looking_up(*_: Any, **__: Any) -> Any:
        over.wait(30)
        raise OSError("the test has ended")

    monkeypatch.setattr(socket, "getaddrinfo", looking_up)
    monkeypatch.setattr(module, "_OVER_AFTER_S", 0.1)
    notify(f"https://receiver.example.com/{SECRET}", TEXT)
    (line,) = failures(capsys)
    assert line["reason"] == "TIMED_OUT"
    over.set()
