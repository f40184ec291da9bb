"""What the exchange does wrong on command: the faults of any server, and those that only an exchange has."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field
from starlette.responses import JSONResponse, Response

from local.exchange.book import Ladder, Level
from local.exchange.decimals import floor_to
from local.exchange.foreign import Fate, ForeignOrders, place_foreign
from local.exchange.limits import MINUTE_MS
from local.exchange.refusals import Refusal
from local.exchange.visit import Visit
from local.faults.kinds import COMMON, Kind, instead
from local.faults.plan import Fault, FaultRequest

DEFAULT_MARKET = "BTC-EUR"


class ExchangeFaultRequest(FaultRequest):
    """`on` is an endpoint such as `POST /order` or `GET /{market}/candles`."""

    code: Literal[107, 108, 109, 111] = 109
    error_code: Annotated[int, Field(ge=100, le=999)] = 109
    http_status: Annotated[int, Field(ge=400, le=599)] = 503
    worth: Annotated[Decimal, Field(ge=0)] = Decimal(0)
    status: str = "filled"
    ms: int = 1000
    market: str | None = None
    operator_id: int = 7
    client_order_id: str | None = None
    orders: Annotated[int, Field(ge=1, le=5000)] = 1500
    fate: Fate = Fate.FILLED


ExchangeFault = Fault[ExchangeFaultRequest]


async def error_500(visit: Visit, fault: ExchangeFault) -> Response:
    return await instead(visit, fault, _refusal(101))


async def error_503(visit: Visit, fault: ExchangeFault) -> Response:
    return await instead(visit, fault, _refusal(fault.asked.code))


async def error_code(visit: Visit, fault: ExchangeFault) -> Response:
    body = {"errorCode": fault.asked.error_code, "error": "The exchange says no."}
    return await instead(visit, fault, JSONResponse(body, fault.asked.http_status))


async def thin_book(visit: Visit, fault: ExchangeFault) -> Response:
    maker = visit.exchange.engine.makers[visit.market or DEFAULT_MARKET]
    best = visit.exchange.engine.book(maker.market.name, visit.exchange.clock.now())
    sides = ((level[0].price, fault.asked.worth / level[0].price) for level in best)
    pinned = maker.pinned
    maker.pin(Ladder(*(_one_level(price, size, maker.market.unit) for price, size in sides)))
    try:
        return await visit.proceed()
    finally:
        maker.pin(pinned)


def _one_level(price: Decimal, size: Decimal, unit: Decimal) -> tuple[Level, ...]:
    amount = floor_to(size, unit)
    return (Level(price, amount),) if amount else ()


async def twice(visit: Visit, _fault: ExchangeFault) -> Response:
    answer = await visit.proceed()
    await visit.proceed()
    return answer


async def wrong_status(visit: Visit, fault: ExchangeFault) -> Response:
    answer = await visit.proceed()
    body = json.loads(bytes(answer.body))
    for order in body if isinstance(body, list) else [body]:
        if "status" in order:
            order["status"] = fault.asked.status
    return JSONResponse(body, answer.status_code)


async def storm(visit: Visit, _fault: ExchangeFault) -> Response:
    return _refusal(105, visit.exchange.clock.now().shown_ms + MINUTE_MS)


async def lag(visit: Visit, fault: ExchangeFault) -> Response:
    return await visit.proceed(lag_ms=fault.asked.ms)


async def clock_off(visit: Visit, fault: ExchangeFault) -> Response:
    return await visit.proceed(off_ms=fault.asked.ms)


async def clock_step(visit: Visit, fault: ExchangeFault) -> Response:
    visit.exchange.clock.step(fault.asked.ms)
    return await visit.proceed()


async def foreign_order(visit: Visit, fault: ExchangeFault) -> Response:
    _place(visit, fault.asked, 1)
    return await visit.proceed()


async def foreign_orders(visit: Visit, fault: ExchangeFault) -> Response:
    _place(visit, fault.asked, fault.asked.orders)
    return await visit.proceed()


def _place(visit: Visit, asked: ExchangeFaultRequest, orders: int) -> None:
    place_foreign(
        visit.exchange,
        ForeignOrders(
            market=asked.market or visit.market or DEFAULT_MARKET,
            operator_id=asked.operator_id,
            client_order_id=asked.client_order_id,
            orders=orders,
            fate=asked.fate,
        ),
    )


def _refusal(code: int, *details: object) -> Response:
    refusal = Refusal(code, *details)
    return JSONResponse(refusal.body, refusal.http_status)


_FOREIGN = ("market", "operator_id", "client_order_id", "fate")
KINDS: Mapping[str, Kind[Any]] = {
    **COMMON,
    "error_500": Kind("Answers 500 with code 101.", error_500, ("done",)),
    "error_503": Kind("Answers 503 with code 107, 108, 109 or 111.", error_503, ("done", "code")),
    "error_code": Kind(
        "Answers `http_status` with any code.", error_code, ("done", "error_code", "http_status")
    ),
    "thin_book": Kind(
        "Carried out while the book holds one level a side, worth so many EUR.", thin_book, ("worth",)
    ),
    "twice": Kind("Carried out twice and answered once, as behind a network that repeats.", twice),
    "wrong_status": Kind("Carried out; each order in the answer has `status`.", wrong_status, ("status",)),
    "storm": Kind("Not carried out; answers 429 with code 105, for as many calls as `count`.", storm),
    "lag": Kind("Orders and trades are read as they were `ms` ago.", lag, ("ms",)),
    "clock_off": Kind("The exchange's clock is off by `ms` for this call.", clock_off, ("ms",)),
    "clock_step": Kind("The exchange's clock moves by `ms` before this call, for good.", clock_step, ("ms",)),
    "foreign_order": Kind(
        "Before this call, an order appears that no request of ours made.", foreign_order, _FOREIGN
    ),
    "foreign_orders": Kind(
        "Before this call, `orders` of them appear in front of what there was.",
        foreign_orders,
        (*_FOREIGN, "orders"),
    ),
}
