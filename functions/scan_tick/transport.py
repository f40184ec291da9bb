"""The transport under the model client: an answer has an end, in bytes and in seconds.

Imported with the client at the first call, because both take long to load.
"""

import time
from collections.abc import Callable, Iterator
from typing import cast

import httpx2

LARGEST_BODY = 256 * 1024


class BoundedTransport(httpx2.BaseTransport):
    """Hands back a body that is whole, uncompressed, of bounded size, and there before the time is up.

    httpx2's read time-out bounds each wait; here it bounds the answer, so that a server which sends a byte
    now and then cannot outlast a lease. The body of an error is not read at all: nobody would believe it.
    """

    def __init__(
        self, inner: httpx2.BaseTransport, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._inner = inner
        self._monotonic = monotonic

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Raises httpx2.ReadTimeout for a late body, httpx2.DecodingError for one compressed or too large."""
        until = self._monotonic() + request.extensions["timeout"]["read"]
        response = self._inner.handle_request(request)
        try:
            if response.status_code >= httpx2.codes.MULTIPLE_CHOICES:
                return httpx2.Response(response.status_code)
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise httpx2.DecodingError("compressed, which was not asked for")
            return httpx2.Response(response.status_code, content=b"".join(self._bounded(response, until)))
        finally:
            response.close()

    def _bounded(self, response: httpx2.Response, until: float) -> Iterator[bytes]:
        size = 0
        for chunk in cast(httpx2.SyncByteStream, response.stream):
            size += len(chunk)
            if size > LARGEST_BODY:
                raise httpx2.DecodingError("the answer does not end")
            if self._monotonic() > until:
                raise httpx2.ReadTimeout("the answer came too slowly")
            yield chunk

    def close(self) -> None:
        """Close the connections underneath."""
        self._inner.close()
