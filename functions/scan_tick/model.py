"""The only code that talks to the model, over any OpenAI-compatible server.

Time-out and retries are ours: one request, one answer, no second try that nobody counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from functions.scan_tick.answer import Completion, read_completion
from functions.scan_tick.question import Question

if TYPE_CHECKING:
    import httpx2
    import openai

DEFAULT_BASE_URL = "https://api.openai.com/v1"
CONNECT_TIMEOUT_S = 5.0
MOST_COMPLETION_TOKENS = 8_192
"""Reasoning included, with models that reason before they answer."""

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


class Model:
    """A model by name on a server. Safe to share between threads.

    `transport` replaces the network, for tests that have no server.
    """

    def __init__(
        self,
        name: str,
        api_key: SecretStr,
        base_url: str | None = None,
        *,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self.name = name
        self._api_key = api_key
        self._base_url = base_url or DEFAULT_BASE_URL
        self._transport = transport
        self._lock = Lock()
        self._client: openai.OpenAI | None = None

    def ask(self, question: Question, timeout_s: float) -> Completion | NotAsked | NotAnswered:
        """Ask once, and hand back what came within `timeout_s` and the seconds that connecting may take."""
        import httpx2
        import openai

        client = self._opened()
        request: dict[str, Any] = {
            "model": question.model,
            "messages": list(question.messages),
            "response_format": question.response_format,
            "max_completion_tokens": MOST_COMPLETION_TOKENS,
        }
        patience = httpx2.Timeout(timeout_s, connect=min(CONNECT_TIMEOUT_S, timeout_s))
        try:
            answer = client.chat.completions.with_raw_response.create(**request, timeout=patience)
        except openai.APIStatusError as error:
            return _refused(error.status_code)
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


def _refused(status: int) -> NotAsked | NotAnswered:
    reason = f"MODEL_ANSWERED_{status}"
    return (
        NotAsked(reason) if status == _TOO_MANY_REQUESTS or status >= _SERVER_ERRORS else NotAnswered(reason)
    )


def _broken(cause: BaseException | None) -> NotAsked | NotAnswered:
    import httpx2

    if isinstance(cause, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout):
        return NotAsked("MODEL_NOT_REACHED")
    if isinstance(cause, httpx2.TimeoutException):
        return NotAnswered("MODEL_TIMED_OUT")
    return NotAnswered("MODEL_CONNECTION_BROKEN")
