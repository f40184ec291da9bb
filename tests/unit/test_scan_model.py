"""The model client against real servers on loopback that misbehave, and the prompt's version."""

import hashlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr

import functions.scan_tick.question
from functions.scan_tick.answer import Completion, Tokens
from functions.scan_tick.model import Model, NotAnswered, NotAsked
from functions.scan_tick.question import PROMPT_VERSION, Question
from tests.unit.scanning import TalkingModel, completion

pytestmark = pytest.mark.unit

QUESTION = Question(
    "m", ({"role": "user", "content": "<data>\n{}\n</data>"},), {"type": "json_schema"}, ("BTC-EUR",)
)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@contextmanager
def a_server(behave: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that reads one request and then behaves so; yields its base URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with listener.accept()[0] as connection:
                connection.settimeout(5)
                connection.recv(65536)
                behave(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        thread.join(5)


def ask(base_url: str, timeout_s: float = 0.5) -> Completion | NotAsked | NotAnswered:
    """Ask the server at this address."""
    return Model("m", SecretStr("key"), base_url).ask(QUESTION, timeout_s)


def drip(connection: socket.socket) -> None:
    """A byte every fifth of a second."""
    connection.sendall(HEAD + b"Content-Length: 1000\r\n\r\n")
    for _ in range(20):
        time.sleep(0.2)
        connection.sendall(b" ")


def drip_the_head(connection: socket.socket) -> None:
    """The same before the head of the answer has ended."""
    connection.sendall(HEAD + b"X-Padding: ")
    for _ in range(20):
        time.sleep(0.2)
        connection.sendall(b"-")


def flood(connection: socket.socket) -> None:
    """A body without end."""
    connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    while True:
        connection.sendall(b"10000\r\n" + b" " * 65536 + b"\r\n")


def quietly(behave: Callable[[socket.socket], None]) -> Callable[[socket.socket], None]:
    """The same, not minding that the client hangs up."""

    def behaving(connection: socket.socket) -> None:
        try:
            behave(connection)
        except OSError:
            return

    return behaving


def test_nobody_listening_is_no_call() -> None:
    """A refused connection releases the reservation."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert ask(f"http://127.0.0.1:{port}/v1") == NotAsked("MODEL_NOT_REACHED")


def test_a_server_that_never_answers_is_a_timed_out_call() -> None:
    """The time-out is ours, not the library's ten minutes, and nothing is tried twice."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert ask(f"http://127.0.0.1:{listener.getsockname()[1]}/v1") == NotAnswered("MODEL_TIMED_OUT")
        listener.setblocking(False)
        listener.accept()[0].close()
        with pytest.raises(BlockingIOError):
            listener.accept()


@pytest.mark.parametrize("behave", [drip, drip_the_head])
def test_a_server_that_drips_cannot_outlast_the_time(behave: Callable[[socket.socket], None]) -> None:
    """A byte now and then, in body or head, keeps no call alive beyond its time."""
    started = time.monotonic()
    with a_server(quietly(behave)) as base_url:
        assert ask(base_url) == NotAnswered("MODEL_TIMED_OUT")
        assert time.monotonic() - started < 1.5


def test_a_server_that_floods_is_cut_off() -> None:
    """A body without end is given up at its bound and charged."""
    with a_server(quietly(flood)) as base_url:
        assert ask(base_url, 5) == NotAnswered("MODEL_CONNECTION_BROKEN")


@pytest.mark.parametrize(
    "sent",
    [b"", b"HTTP/1.1 200", HEAD + b"Content-Length: 100\r\n\r\n{", b"\x00\x01garbage\r\n\r\n"],
    ids=["nothing", "half a status line", "half a body", "garbage"],
)
def test_a_connection_that_breaks_after_it_was_made_is_charged(sent: bytes) -> None:
    """Whoever took the request may have worked on it."""
    with a_server(lambda connection: connection.sendall(sent)) as base_url:
        assert ask(base_url, 5) == NotAnswered("MODEL_CONNECTION_BROKEN")


def test_the_body_of_an_error_is_not_waited_for() -> None:
    """A 503 whose page never ends is an outage at once."""
    head = b"HTTP/1.1 503 Busy\r\nContent-Length: 100000\r\n\r\n"

    def busy(connection: socket.socket) -> None:
        connection.sendall(head)
        time.sleep(1)

    started = time.monotonic()
    with a_server(quietly(busy)) as base_url:
        assert ask(base_url, 5) == NotAsked("MODEL_ANSWERED_503")
        assert time.monotonic() - started < 1


@pytest.mark.parametrize("end", ["stop", "eos", "eos_token", "end_turn"])
def test_an_answer_that_ended_by_itself_is_read_whatever_the_server_calls_it(end: str) -> None:
    """Some servers pass on their model's own word for the end."""
    talking = TalkingModel(completion("{}", finish_reason=end))
    assert talking.model().ask(QUESTION, 5) == Completion("{}", Tokens(700, 80))


def _error(**said: object) -> dict[str, Any]:
    return {"error": {"message": "no", "type": "invalid_request_error", "param": None, "code": None, **said}}


BOUND = "max_completion_tokens"
UNKNOWN_BOUND: dict[str, tuple[int, Any]] = {
    "OpenAI": (400, _error(param=BOUND, code="unsupported_parameter")),
    "in the sentence alone": (400, _error(message=f"Unrecognized request argument supplied: {BOUND}")),
    "a strict schema": (
        422,
        {
            "detail": [
                {"type": "extra_forbidden", "loc": ["body", BOUND], "msg": "Extra inputs are not permitted"}
            ]
        },
    ),
}


@pytest.mark.parametrize("server", UNKNOWN_BOUND)
def test_a_server_that_does_not_know_the_bound_is_told_the_older_one_from_then_on(server: str) -> None:
    """The refused request generated nothing and is repeated at once; the next call goes right."""
    status, said = UNKNOWN_BOUND[server]
    talking = TalkingModel(httpx2.Response(status, json=said), completion("{}"))
    model = talking.model()
    for _ in range(2):
        assert model.ask(QUESTION, 5) == Completion("{}", Tokens(700, 80))
    bounds = [{key: each[key] for key in each if key.startswith("max_")} for each in talking.asked]
    assert bounds == [{BOUND: 8192}, {"max_tokens": 8192}, {"max_tokens": 8192}]


@pytest.mark.parametrize(
    "said",
    [
        _error(param=BOUND, code="invalid_value", message=f"{BOUND} is too large: at most 4096"),
        _error(param="max_tokens", message=f"Unsupported parameter: 'max_tokens'. Use '{BOUND}' instead."),
        _error(param="temperature", code="unsupported_parameter"),
        {"messages": f"You sent {BOUND}."},
    ],
    ids=["its value", "the older one", "another", "an echo"],
)
def test_another_refusal_changes_nothing_and_is_not_tried_again(said: dict[str, Any]) -> None:
    """Only the bound itself, refused by name, is said by another name."""
    talking = TalkingModel(httpx2.Response(400, json=said))
    assert isinstance(talking.model().ask(QUESTION, 5), NotAnswered)
    assert [BOUND in each for each in talking.asked] == [True]


def test_a_server_that_takes_neither_bound_is_asked_twice_at_most() -> None:
    """The second refusal is the answer."""
    talking = TalkingModel(httpx2.Response(400, json=UNKNOWN_BOUND["OpenAI"][1]))
    assert isinstance(talking.model().ask(QUESTION, 5), NotAnswered)
    assert len(talking.asked) == 2


KEY = "sk-canary-0123456789"
REFUSALS: dict[str, tuple[bytes | dict[str, Any], str]] = {
    "OpenAI": (
        _error(param="temperature", code="unsupported_parameter"),
        ": code unsupported_parameter, parameter temperature",
    ),
    "vLLM": (
        {"object": "error", "message": "no", "type": "BadRequestError", "param": None, "code": 400},
        ": code BadRequestError",
    ),
    "llama.cpp": (
        {"error": {"code": 400, "message": "no", "type": "invalid_request_error"}},
        ": code invalid_request_error",
    ),
    "Ollama": (_error(type="not_found_error"), ": code not_found_error"),
    "LM Studio": ({"error": "'response_format.type' must be 'json_schema'"}, ""),
    "the key in it": (_error(code=KEY, param=f"x{KEY}"), ""),
    "a part of the key": (_error(code=KEY[:12], param="canary"), ""),
    "no plain words": (_error(code="a b\n<c>", type=5, param="p" * 65), ""),
    "no object": (b"[1]", ""),
    "no JSON": (b"<h1>no</h1>", ""),
    "too much": (b" " * 20_000 + b'{"error": {"code": "a"}}', ""),
    "too deep": (b"[" * 10_000, ""),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_keeps_the_code_and_the_parameter_that_it_names(name: str) -> None:
    """Two plain words at most, never the sentence, never the key."""
    said, kept = REFUSALS[name]
    body = httpx2.Response(400, content=said) if isinstance(said, bytes) else httpx2.Response(400, json=said)
    model = Model("m", SecretStr(KEY), "http://m.test/v1", transport=httpx2.MockTransport(lambda _: body))
    answer = model.ask(QUESTION, 5)
    assert isinstance(answer, NotAnswered)
    assert answer.reason == f"MODEL_ANSWERED_400{kept}"


def test_a_refusal_that_does_not_end_is_a_refusal_all_the_same() -> None:
    """The status decides; what was to be said beside it is not waited for beyond the call's time."""
    head = b"HTTP/1.1 400 No\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"

    def half(connection: socket.socket) -> None:
        connection.sendall(head)
        time.sleep(0.8)

    with a_server(quietly(half)) as base_url:
        assert ask(base_url) == NotAnswered("MODEL_ANSWERED_400")


def test_a_redirect_takes_the_key_nowhere() -> None:
    """A redirect is refused, not followed."""
    with a_server(
        lambda connection: connection.sendall(b"HTTP/1.1 308 Moved\r\nLocation: http://127.0.0.1:1/\r\n\r\n")
    ) as base_url:
        assert ask(base_url, 5) == NotAnswered("MODEL_ANSWERED_308")


def test_the_same_question_has_the_same_hash_and_no_other_has() -> None:
    """Model, words, schema: a change of any is another input."""
    assert QUESTION.input_hash == replace(QUESTION).input_hash
    others = [
        replace(QUESTION, model="n"),
        replace(QUESTION, messages=({"role": "user", "content": "other"},)),
        replace(QUESTION, response_format={}),
        QUESTION.asked_again("NOT_JSON"),
    ]
    assert len({QUESTION.input_hash, *(other.input_hash for other in others)}) == 5


# A prompt that is changed gets a new file, a new version and a new line here.
PROMPTS = {"v1": "a8c510be"}


def test_a_prompt_version_names_one_text() -> None:
    """What is stored as a version always was this text."""
    folder = Path(functions.scan_tick.question.__file__).parent
    texts = {
        path.stem.removeprefix("prompt_"): hashlib.sha256(path.read_bytes()).hexdigest()[:8]
        for path in folder.glob("prompt_*.md")
    }
    assert texts == PROMPTS
    assert PROMPT_VERSION in PROMPTS
