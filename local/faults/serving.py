"""Serving an application on loopback: in the foreground until a signal, or in a thread beside a test."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from time import monotonic, sleep

import uvicorn
from starlette.types import ASGIApp

from local.errors import PortError
from local.faults.wire import BreakableProtocol
from local.ports import free_port, release

HOST = "127.0.0.1"
GRACE_S = 1


def listen(port: int | None) -> socket.socket:
    """A listening socket on loopback, on any free port when none is asked for. Raises PortError."""
    wanted = port or free_port()
    # asyncio turns Nagle's algorithm off only where the protocol is named: without it, 40 ms an answer.
    listener = socket.socket(proto=socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, wanted))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise PortError(f"Port {wanted} on {HOST} cannot be used ({error.strerror}): name another.") from None
    finally:
        release(wanted)
    return listener


def address_of(listener: socket.socket) -> str:
    """The base address, without a path."""
    return f"http://{HOST}:{listener.getsockname()[1]}"


def serve(app: ASGIApp, listener: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT, however early it comes."""
    server = _server(app)

    def end(*_: object) -> None:
        # No exception: raised wherever the signal comes, it may be ignored.
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    server.run(sockets=[listener])


@contextmanager
def serving(app: ASGIApp, port: int | None = None) -> Iterator[str]:
    """Serve from a thread of this process; gives the base address, without a path."""
    listener = listen(port)
    server = _server(app)
    thread = Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        _wait(server, thread)
        yield address_of(listener)
    finally:
        server.should_exit = True
        thread.join()


def _server(app: ASGIApp) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=BreakableProtocol,
            log_level="error",
            access_log=False,
            lifespan="auto",
            ws="none",
            timeout_graceful_shutdown=GRACE_S,
        )
    )


def _wait(server: uvicorn.Server, thread: Thread) -> None:
    deadline = monotonic() + 10
    while not server.started:
        if not thread.is_alive() or monotonic() > deadline:
            raise RuntimeError("the server did not start")
        sleep(0.005)
