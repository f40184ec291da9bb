"""An answer that comes in drops is given up when its time is over, wherever it drips."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import repeat

import httpx
import pytest

from shared.deadline import DeadlineTransport

_WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@contextmanager
def server(*answers: bytes, drop: bytes = b"") -> Iterator[str]:
    """One connection after the other; each answer whole, then drops for ever; the address."""
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def serve() -> None:
        while not over.is_set():
            with suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    for answer in answers:
                        connection.recv(65536)
                        connection.sendall(answer)
                    for _ in repeat(None) if drop else ():
                        connection.sendall(drop)
                        if over.wait(0.02):
                            break

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    finally:
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param([b"HTTP/1.1 200 OK\r\nX-Drops: "], id="head"),
        pytest.param([b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"], id="body"),
        pytest.param([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"], id="chunk"),
        pytest.param([_WHOLE, b"HTTP/1.1 200 OK\r\nX-Drops: "], id="head, on a connection used before"),
    ],
)
def test_an_answer_in_drops_ends(answers: list[bytes]) -> None:
    """Each drop comes well within the time-out of a single wait."""
    with (
        server(*answers, drop=b"1") as url,
        httpx.Client(transport=DeadlineTransport(0.3), timeout=20) as client,
    ):
        for _ in answers[1:]:
            assert client.get(url).json() == {}
        with pytest.raises(httpx.ReadTimeout):
            client.get(url)


def test_provisional_answers_end() -> None:
    """A server may say 'go on' as often as it likes, and never answer."""
    with (
        server(b"", drop=b"HTTP/1.1 103 Early Hints\r\n\r\n") as url,
        httpx.Client(transport=DeadlineTransport(0.3), timeout=20) as client,
        pytest.raises(httpx.ReadTimeout),
    ):
        client.get(url)


def test_each_request_has_the_whole_time() -> None:
    """What an earlier request took is not taken from the next, on the same connection."""
    now = [0.0]
    with (
        server(*[_WHOLE] * 4) as url,
        httpx.Client(transport=DeadlineTransport(10, monotonic=lambda: now[0])) as client,
    ):
        for _ in range(4):
            assert client.get(url).json() == {}
            now[0] += 9
