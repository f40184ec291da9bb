"""The only code that talks to the model, over any OpenAI-compatible server.

Time-out and retries are ours: one request, one answer, no second try that nobody counted. A request that is
refused because the server does not know `max_completion_tokens` was no try: it says the same once more with
`max_tokens`, within the same time, and from then on.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from functions.scan_tick.answer import Completion, read_completion
from functions.scan_tick.question import Question
from functions.scan_tick.refusal import Refusal, read_refusal

if TYPE_CHECKING:
    import httpx2
    import openai

DEFAULT_BASE_URL = "https://api.openai.com/v1"
DEFAULT_TIMEOUT_S = 45.0
CONNECT_TIMEOUT_S = 5.0
MOST_COMPLETION_TOKENS = 8_192
"""Reasoning included, with models that reason before they answer."""

_BOUND, _OLDER_BOUND = "max_completion_tokens", "max_tokens"
_TOO_MANY_REQUESTS = 429
_SERVER_ERRORS = 500


@dataclass(frozen=True)
class NotAsked:
    """No call was made that anyone would charge for: no connection, 429, 5xx. The reservation is released."""

    reason: str


@dataclass(frozen=True)
class NotAnswered:
    """A call was made and no answer came that can be read: charged."""

    reason: str


@dataclass(frozen=True)
class _Unknown(NotAnswered):
    """The server does not take a parameter, whatever its value: nothing was generated."""

    parameter: str


class Model:
    """A model by name on a server. Safe to share between threads.

    `timeout_s` is how long an answer may take at most. `transport` replaces the network, for tests that have
    no server.
    """

    def __init__(
        self,
        name: str,
        api_key: SecretStr,
        base_url: str | None = None,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self.name = name
        self.timeout_s = timeout_s
        self._bound = _BOUND
        self._api_key = api_key
        self._base_url = base_url or DEFAULT_BASE_URL
        self._transport = transport
        self._lock = Lock()
        self._client: openai.OpenAI | None = None

    def ask(self, question: Question, timeout_s: float) -> Completion | NotAsked | NotAnswered:
        """Ask once, and hand back what came within `timeout_s` and the seconds that connecting may take."""
        until = time.monotonic() + timeout_s
        bound = self._bound
        answer = self._ask_with(bound, question, timeout_s)
        if isinstance(answer, _Unknown) and answer.parameter == bound == _BOUND:
            self._bound = _OLDER_BOUND
            answer = self._ask_with(_OLDER_BOUND, question, max(until - time.monotonic(), 0.1))
        return answer

    def _ask_with(
        self, bound: str, question: Question, timeout_s: float
    ) -> Completion | NotAsked | NotAnswered:
        import httpx2
        import openai

        request: dict[str, Any] = {
            "model": question.model,
            "messages": list(question.messages),
            "response_format": question.response_format,
            bound: MOST_COMPLETION_TOKENS,
        }
        patience = httpx2.Timeout(timeout_s, connect=min(CONNECT_TIMEOUT_S, timeout_s))
        try:
            answer = self._opened().chat.completions.with_raw_response.create(**request, timeout=patience)
        except openai.APIStatusError as error:
            said = read_refusal(error.response.content, self._api_key.get_secret_value())
            return _refused(error.status_code, said)
        except openai.APIConnectionError as error:
            return _broken(error.__cause__)
        return read_completion(answer.http_response.content)

    def _opened(self) -> openai.OpenAI:
        """The client, made at the first call: its import costs more than all the rest of the function.

        Each call has a connection of its own: one that was kept and has died looks like a lost answer.
        """
        import httpx2
        import openai

        from functions.scan_tick.transport import BoundedTransport

        with self._lock:
            if self._client is None:
                network = self._transport or httpx2.HTTPTransport(
                    trust_env=False, limits=httpx2.Limits(max_keepalive_connections=0)
                )
                self._client = openai.OpenAI(
                    api_key=self._api_key.get_secret_value(),
                    base_url=self._base_url,
                    max_retries=0,
                    default_headers={"Accept-Encoding": "identity"},
                    http_client=httpx2.Client(
                        transport=BoundedTransport(network), trust_env=False, follow_redirects=False
                    ),
                )
            return self._client


def _refused(status: int, said: Refusal) -> NotAsked | NotAnswered:
    reason = f"MODEL_ANSWERED_{status}"
    if status == _TOO_MANY_REQUESTS or status >= _SERVER_ERRORS:
        return NotAsked(reason)
    if str(said):
        reason = f"{reason}: {said}"
    return _Unknown(reason, said.parameter) if said.is_unknown and said.parameter else NotAnswered(reason)


def _broken(cause: BaseException | None) -> NotAsked | NotAnswered:
    import httpx2

    if isinstance(cause, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout):
        return NotAsked("MODEL_NOT_REACHED")
    if isinstance(cause, httpx2.TimeoutException):
        return NotAnswered("MODEL_TIMED_OUT")
    return NotAnswered("MODEL_CONNECTION_BROKEN")
