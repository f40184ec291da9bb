"""The wire before a server: what passed over it, and a place where a request or its answer is kept."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from local.faults.plan import Fault, FaultRequest
from local.faults.wire import TRANSPORT, Dropped


class Kept(Fault[FaultRequest]):
    """A request or an answer that is kept, or will be."""

    lost: bool = False
    """Does it never go on?"""


@dataclass
class Wire:
    """Stands before an application. `asked` and `answered` count the calls since `clear`, by name,
    and `bodies` is what each was asked with.

    What an answer does to the connection, a drop or a cut, waits with it.
    """

    app: ASGIApp
    name: Callable[[Request], str]
    asked: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    bodies: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    _requests: Kept | None = None
    _answers: Kept | None = None

    def keep_request(self, call: str, *, skip: int = 0, count: int = 1) -> Kept:
        """Keep whole requests of a call before the server hears of them, after letting `skip` pass."""
        self._requests = _kept(call, skip, count)
        return self._requests

    def keep_answer(self, call: str, *, skip: int = 0, count: int = 1) -> Kept:
        """Keep the answers of a call when the server has done its work."""
        self._answers = _kept(call, skip, count)
        return self._answers

    def lose(self) -> None:
        """Requests that are kept never go on."""
        if self._requests is not None:
            self._requests.lost = True
        self.release()

    def clear(self) -> None:
        """Keep nothing any more, let go of what was kept, and count from zero."""
        self.release()
        self._requests = self._answers = None
        self.asked, self.answered = Counter(), Counter()
        self.bodies.clear()

    def release(self) -> None:
        """What is kept goes on."""
        for kept in (self._requests, self._answers):
            if kept is not None:
                kept.release()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        call = self.name(Request(scope))
        body = await _whole_body(receive)
        answered = self.answered
        self.asked[call] += 1
        self.bodies[call].append(body)
        requests, answers = self._requests, self._answers
        if requests is not None and requests.strikes(call):
            await requests.hold()
            if requests.lost:
                await Dropped()(scope, receive, send)
                return
        answer = _Answer(scope, receive, body)
        working = asyncio.ensure_future(self.app(answer.scope, answer.receive, answer.send))
        working.add_done_callback(lambda _: answer.complete.set())
        await answer.complete.wait()
        if answers is not None and answers.strikes(call):
            await answers.hold()
        answered[call] += 1
        await answer.pass_on(send)
        await working


class _Answer:
    """What a server answers, put aside: its messages, and what it did to the connection."""

    def __init__(self, scope: Scope, receive: Receive, body: bytes) -> None:
        self.scope = {**scope, TRANSPORT: self}
        self.complete = asyncio.Event()
        self._transport = scope[TRANSPORT]
        self._receive = receive
        self._body: bytes | None = body
        self._acts: list[Callable[[Send], Any]] = []

    async def receive(self) -> Message:
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(self, message: Message) -> None:
        self._acts.append(lambda send: send(message))

    def abort(self) -> None:
        self._break(self._transport.abort)

    def close(self) -> None:
        self._break(self._transport.close)

    def _break(self, how: Callable[[], None]) -> None:
        self._acts.append(partial(_at_once, how))
        self.complete.set()

    async def pass_on(self, send: Send) -> None:
        for act in self._acts:
            await act(send)


async def _at_once(how: Callable[[], None], _send: Send) -> None:
    how()


async def _whole_body(receive: Receive) -> bytes:
    pieces: list[bytes] = []
    while True:
        message = await receive()
        pieces.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(pieces)


def _kept(call: str, skip: int, count: int) -> Kept:
    return Kept(0, FaultRequest(name="kept", on=call, skip=skip, count=count))
