"""A real HTTP server on loopback that answers what a test says, and remembers what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Asked:
    """One request, as it arrived."""

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    """By lower-case name."""
    raw: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.raw) if self.raw else None


@dataclass(frozen=True)
class Reply:
    """An answer: JSON unless `body` is text. `then_hang_up` breaks the connection instead of answering."""

    status: int = 200
    body: object = None
    headers: dict[str, str] = field(default_factory=dict)
    then_hang_up: bool = False


Answering = Callable[[Asked], Reply]
HANG_UP = Reply(then_hang_up=True)


@dataclass
class Loopback:
    """A running server; `answering` may be changed at any time."""

    url: str
    answering: Answering
    asked: list[Asked] = field(default_factory=list)

    def of(self, path: str) -> list[Asked]:
        """The requests to a path, in order."""
        return [one for one in self.asked if one.path == path]


@contextmanager
def serving(answering: Answering) -> Iterator[Loopback]:
    """Serve on a free port of 127.0.0.1 for as long as the block."""

    class Handler(BaseHTTPRequestHandler):
        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except (ConnectionError, BrokenPipeError):
                self.close_connection = True

        def _answer(self) -> None:
            parts = urlsplit(self.path)
            asked = Asked(
                self.command,
                parts.path,
                parse_qsl(parts.query, keep_blank_values=True),
                {name.lower(): value for name, value in self.headers.items()},
                self.rfile.read(int(self.headers.get("Content-Length") or 0)),
            )
            loopback.asked.append(asked)
            reply = loopback.answering(asked)
            self.close_connection = True
            if reply.then_hang_up:
                return
            content = reply.body if isinstance(reply.body, str) else json.dumps(reply.body)
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content.encode())))
            self.end_headers()
            self.wfile.write(content.encode())

        do_GET = do_POST = do_PUT = _answer  # noqa: N815 - the names that http.server looks for

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - likewise
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    loopback = Loopback(f"http://127.0.0.1:{server.server_port}", answering)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield loopback
    finally:
        server.shutdown()
        server.server_close()
