"""The admin routes of a server that can fail on command, and the one way to read such a command."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local.faults.kinds import Kind, check
from local.faults.plan import FaultPlan, FaultRequest

Command = TypeVar("Command", bound=BaseModel)
Asked = TypeVar("Asked", bound=FaultRequest)


def fault_routes(plan: FaultPlan[Asked], kinds: Mapping[str, Kind[Any]], model: type[Asked]) -> list[Route]:
    """POST, GET and DELETE /_admin/faults, and POST /_admin/release."""

    def add(asked: Asked) -> object:
        check(kinds, asked)
        return plan.add(asked).row()

    async def faults(_request: Request) -> Response:
        return JSONResponse(plan.rows())

    async def clear(_request: Request) -> Response:
        plan.clear()
        return JSONResponse([])

    async def release(_request: Request) -> Response:
        return JSONResponse({"released": plan.release()})

    return [
        command_route("/_admin/faults", model, add),
        Route("/_admin/faults", faults, methods=["GET"]),
        Route("/_admin/faults", clear, methods=["DELETE"]),
        Route("/_admin/release", release, methods=["POST"]),
    ]


def command_route(path: str, model: type[Command], run: Callable[[Command], object]) -> Route:
    """A POST route that reads `model` as JSON and answers what `run` returns, or 400 with a sentence."""

    async def handle(request: Request) -> Response:
        return await run_command(request, model, run)

    return Route(path, handle, methods=["POST"])


async def run_command(request: Request, model: type[Command], run: Callable[[Command], object]) -> Response:
    """An empty body is an empty command; a ValueError of `run` is the caller's mistake."""
    try:
        return JSONResponse(run(model.model_validate_json(await request.body() or b"{}")))
    except ValidationError as error:
        wrong = (f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        return refuse("; ".join(wrong), 400)
    except ValueError as error:
        return refuse(str(error), 400)


def refuse(sentence: str, status: int) -> Response:
    return JSONResponse({"error": sentence}, status)
