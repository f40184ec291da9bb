"""A limit for a whole answer: httpx's own time-outs bound each wait, and an answer in drops never ends."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import httpcore
import httpx


@cache
def _tls() -> ssl.SSLContext:
    """The one TLS context of a process: to read the certificates takes longer than most requests."""
    return httpx.create_ssl_context(trust_env=False)


class DeadlineTransport(httpx.HTTPTransport):
    """HTTP/1.1 without proxies from the environment, and retries on connect alone, before a byte is sent.

    An answer, its head as well as its body, has `limit_s` seconds to arrive, from the first try on. Raises
    `httpx.ReadTimeout` when it is not complete by then. Safe to share between threads, one request a thread.

    A connection is kept `keep_s` seconds for the next request: a short while where a request that meets a
    connection just closed must not be repeated, longer where it may.
    """

    def __init__(
        self, limit_s: float, *, keep_s: float = 5.0, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        limits = httpx.Limits(keepalive_expiry=keep_s)
        super().__init__(verify=_tls(), http1=True, http2=False, limits=limits, retries=1, trust_env=False)
        self._limit_s = limit_s
        self._clock = _Clock(monotonic)
        # httpx offers no way in to the sockets; httpcore, underneath, takes any network backend.
        self._pool._network_backend = _Backend(self._pool._network_backend, self._clock)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send, and read the head; the body is read under the same limit."""
        self._clock.start(self._limit_s)
        return super().handle_request(request)


class _Clock(threading.local):
    """What is left for the request that this thread has under way."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._until = float("inf")

    def start(self, limit_s: float) -> None:
        self._until = self._monotonic() + limit_s

    def cut(self, timeout_s: float | None) -> float:
        """The time-out of a wait that may last no longer than what is left.

        Raises `httpcore.ReadTimeout` when nothing is.
        """
        left_s = self._until - self._monotonic()
        if left_s <= 0:
            raise httpcore.ReadTimeout("the answer came too slowly")
        return left_s if timeout_s is None else min(left_s, timeout_s)


class _Backend(httpcore.NetworkBackend):
    def __init__(self, inner: httpcore.NetworkBackend, clock: _Clock) -> None:
        self._inner = inner
        self._clock = clock

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        stream = self._inner.connect_tcp(host, port, timeout, local_address, socket_options)
        return _Stream(stream, self._clock)

    def sleep(self, seconds: float) -> None:
        self._inner.sleep(seconds)


class _Stream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream, clock: _Clock) -> None:
        self._inner = inner
        self._clock = clock

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._clock.cut(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, timeout)

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, timeout), self._clock)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
