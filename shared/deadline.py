"""A limit for a whole answer: httpx's own time-outs bound each wait, and an answer in drops never ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import httpx


class DeadlineTransport(httpx.BaseTransport):
    """Sends through another transport and gives an answer `limit_s` seconds to arrive, from the first try on.

    Raises `httpx.ReadTimeout` when it is not complete by then; the last wait may overrun by a read time-out.
    """

    def __init__(
        self,
        transport: httpx.BaseTransport,
        limit_s: float,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._transport = transport
        self._limit_s = limit_s
        self._monotonic = monotonic

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        deadline = self._monotonic() + self._limit_s
        answer = self._transport.handle_request(request)
        assert isinstance(answer.stream, httpx.SyncByteStream)  # noqa: S101 - tells the type checker
        answer.stream = _Bounded(answer.stream, deadline, self._monotonic)
        return answer

    def close(self) -> None:
        self._transport.close()


class _Bounded(httpx.SyncByteStream):
    def __init__(self, stream: httpx.SyncByteStream, deadline: float, monotonic: Callable[[], float]) -> None:
        self._stream = stream
        self._deadline = deadline
        self._monotonic = monotonic

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._stream:
            if self._monotonic() > self._deadline:
                raise httpx.ReadTimeout("the answer came too slowly")
            yield piece

    def close(self) -> None:
        self._stream.close()
