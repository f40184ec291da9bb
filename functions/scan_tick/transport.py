"""The transport under the model client: an answer has an end, in bytes and in seconds.

Imported with the client at the first call, because both take long to load.
"""

import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from threading import Timer
from typing import Any, cast

import httpx2

LARGEST_BODY = 256 * 1024
LARGEST_REFUSAL = 16 * 1024


_CONNECTED = frozenset({"connection.connect_tcp.complete", "connection.start_tls.complete"})


class BoundedTransport(httpx2.BaseTransport):
    """Hands back a body that is whole, uncompressed, of bounded size, and there before the time is up.

    httpx2's read time-out bounds each wait; here it bounds the answer, its head as well as its body, so that
    a server which sends a byte now and then cannot outlast a lease. The body of a refusal (4xx) is handed
    back when it is there, whole and short; that of any other error is not read at all.
    """

    def __init__(
        self, inner: httpx2.BaseTransport, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._inner = inner
        self._monotonic = monotonic

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Raises httpx2.ReadTimeout for one that is late, DecodingError for one compressed or too large."""
        patience_s = request.extensions["timeout"]["read"]
        until = self._monotonic() + patience_s
        hang_up = _HangUp(request, patience_s)
        try:
            return self._whole(request, until)
        except httpx2.TransportError as error:
            if hang_up.done:
                raise httpx2.ReadTimeout("the answer came too slowly") from error
            raise
        finally:
            hang_up.cancel()

    def _whole(self, request: httpx2.Request, until: float) -> httpx2.Response:
        response = self._inner.handle_request(request)
        try:
            status = response.status_code
            if httpx2.codes.is_client_error(status):
                return httpx2.Response(status, content=self._refusal(response, until))
            if status >= httpx2.codes.MULTIPLE_CHOICES:
                return httpx2.Response(status)
            return httpx2.Response(status, content=self._body(response, until, LARGEST_BODY))
        finally:
            response.close()

    def _refusal(self, response: httpx2.Response, until: float) -> bytes:
        """What is said beside a status that decides by itself: nothing, rather than an error of its own."""
        try:
            return self._body(response, until, LARGEST_REFUSAL)
        except httpx2.RequestError:
            return b""

    def _body(self, response: httpx2.Response, until: float, largest: int) -> bytes:
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise httpx2.DecodingError("compressed, which was not asked for")
        return b"".join(self._bounded(response, until, largest))

    def _bounded(self, response: httpx2.Response, until: float, largest: int) -> Iterator[bytes]:
        size = 0
        for chunk in cast(httpx2.SyncByteStream, response.stream):
            size += len(chunk)
            if size > largest:
                raise httpx2.DecodingError("the answer does not end")
            if self._monotonic() > until:
                raise httpx2.ReadTimeout("the answer came too slowly")
            yield chunk

    def close(self) -> None:
        """Close the connections underneath."""
        self._inner.close()


class _HangUp:
    """Ends the connection of one request when its time is up, whatever is being waited for then.

    It learns of the connection by httpx2's trace; without one there is nothing to hang up.
    """

    def __init__(self, request: httpx2.Request, after_s: float) -> None:
        self._stream: Any = None
        self._time_is_up = False
        self._timer = Timer(after_s, self._now)
        self._timer.daemon = True
        request.extensions["trace"] = self._learn
        self._timer.start()

    @property
    def done(self) -> bool:
        """Whether the connection was ended from here."""
        return self._time_is_up and self._stream is not None

    def cancel(self) -> None:
        """The answer is there, or there is none."""
        self._timer.cancel()

    def _learn(self, event: str, info: Mapping[str, Any]) -> None:
        if event in _CONNECTED:
            self._stream = info["return_value"]
            self._end()

    def _now(self) -> None:
        self._time_is_up = True
        self._end()

    def _end(self) -> None:
        if self.done:
            with suppress(OSError):
                # Of the plain socket: that of TLS would say goodbye first.
                socket.socket.shutdown(self._stream.get_extra_info("socket"), socket.SHUT_RDWR)
