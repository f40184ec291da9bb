"""The faults that any HTTP server can have. Each is one function of the request's work and the fault."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from local.faults.plan import Fault, FaultRequest
from local.faults.wire import Cut, Dropped

BAD_GATEWAY = (
    "<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body>502 Bad Gateway</body></html>"
)


class Work(Protocol):
    """A request that was read and waits to be carried out."""

    async def proceed(self) -> Response: ...


AnyFault = Fault[Any]
ANY_FAULT_READS = frozenset({"name", "on", "skip", "count", "probability", "seed"})
W = TypeVar("W", bound=Work, contravariant=True)


@dataclass(frozen=True)
class Kind(Generic[W]):
    """A fault by name: what the client sees, which fields it reads, and how it is done."""

    meaning: str
    run: Callable[[W, AnyFault], Awaitable[Response]]
    fields: tuple[str, ...] = ()


async def drop_request(_work: Work, _fault: AnyFault) -> Response:
    return Dropped()


async def drop_answer(work: Work, _fault: AnyFault) -> Response:
    await work.proceed()
    return Dropped()


async def hold_request(work: Work, fault: AnyFault) -> Response:
    await fault.hold()
    return await work.proceed()


async def hold_answer(work: Work, fault: AnyFault) -> Response:
    answer = await work.proceed()
    await fault.hold()
    return answer


async def delay_request(work: Work, fault: AnyFault) -> Response:
    await asyncio.sleep(fault.asked.delay_ms / 1000)
    return await work.proceed()


async def delay_answer(work: Work, fault: AnyFault) -> Response:
    answer = await work.proceed()
    await asyncio.sleep(fault.asked.delay_ms / 1000)
    return answer


async def cut(work: Work, _fault: AnyFault) -> Response:
    return Cut(await work.proceed())


async def not_json(work: Work, fault: AnyFault) -> Response:
    return await instead(work, fault, PlainTextResponse("upstream says hello"))


async def error_500(work: Work, fault: AnyFault) -> Response:
    return await instead(work, fault, JSONResponse({"message": "Internal Server Error"}, 500))


async def error_502(work: Work, fault: AnyFault) -> Response:
    return await instead(work, fault, HTMLResponse(BAD_GATEWAY, 502))


async def instead(work: Work, fault: AnyFault, answer: Response) -> Response:
    """Carry the request out, unless the fault says `done: false`, and answer something else."""
    if fault.asked.done:
        await work.proceed()
    return answer


COMMON: Mapping[str, Kind[Work]] = {
    "drop_request": Kind("The connection closes; nothing was carried out.", drop_request),
    "drop_answer": Kind("Carried out; the connection closes without one byte of answer.", drop_answer),
    "hold_request": Kind(
        "Kept until released, carried out then: a request that was long under way.", hold_request
    ),
    "hold_answer": Kind("Carried out at once; the answer is kept until released.", hold_answer),
    "delay_request": Kind("Carried out after `delay_ms`.", delay_request, ("delay_ms",)),
    "delay_answer": Kind("Carried out at once, answered after `delay_ms`.", delay_answer, ("delay_ms",)),
    "cut": Kind("Carried out; the connection closes after half of the body.", cut),
    "not_json": Kind("Answers 200 with a text that is not JSON.", not_json, ("done",)),
    "error_500": Kind("Answers 500 with a JSON body.", error_500, ("done",)),
    "error_502": Kind("Answers 502 with a page of HTML.", error_502, ("done",)),
}


def check(kinds: Mapping[str, Kind[Any]], asked: FaultRequest) -> None:
    """Raises ValueError with a sentence when no such fault exists, or it does not read a field."""
    kind = kinds.get(asked.name)
    if kind is None:
        raise ValueError(f"no fault {asked.name!r}; there are {', '.join(kinds)}")
    for name in sorted(asked.model_fields_set - ANY_FAULT_READS - set(kind.fields)):
        raise ValueError(f"{asked.name} does not read {name}")


def table(kinds: Mapping[str, Kind[Any]]) -> str:
    """The kinds as a Markdown table, for the README that documents them."""
    rows = (
        f"| `{name}` | {kind.meaning} | {', '.join(f'`{field}`' for field in kind.fields)} |"
        for name, kind in kinds.items()
    )
    return "\n".join(("| name | what happens | fields |", "|---|---|---|", *rows))
