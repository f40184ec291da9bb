"""The routes that command the simulation, outside /v2: they need no key and cost no points."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local.exchange.book import Ladder, Level
from local.exchange.decimals import plain
from local.exchange.exchange import Accepted, Exchange
from local.exchange.faults import KINDS, ExchangeFaultRequest
from local.exchange.foreign import ForeignOrders, place_foreign
from local.exchange.keys import OWNER, Right
from local.exchange.ledger import Purse
from local.exchange.markets import MarketStatus
from local.exchange.orders import Rounds, Words
from local.faults.plan import FaultPlan
from local.faults.routes import command_route, fault_routes, refuse, run_command


class _Command(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ClockCommand(_Command):
    """`speed` seconds a second, `offset_ms` shown wrongly, one `step_ms` of what is shown, time passing."""

    speed: Annotated[float, Field(ge=0, le=1_000_000)] | None = None
    offset_ms: int | None = None
    step_ms: int = 0
    advance_ms: Annotated[int, Field(ge=0)] = 0


class SettingsCommand(_Command):
    """Rates are shares of the traded value (`0.0025`); what is absent stays as it is."""

    taker_rate: Annotated[Decimal, Field(ge=0, lt=1, decimal_places=8)] | None = None
    maker_rate: Annotated[Decimal, Field(ge=0, lt=1, decimal_places=8)] | None = None
    lookup_lag_ms: Annotated[int, Field(ge=0)] | None = None
    settle_after_ms: Annotated[int, Field(ge=0)] | None = None
    words: Words | None = None
    rounds: Rounds | None = None
    lists_operator_ids: bool | None = None


class LimitsCommand(_Command):
    """`points` a minute; `forget` lifts every ban."""

    points: Annotated[int, Field(ge=1)] | None = None
    forget: bool = False


Price = Annotated[Decimal, Field(gt=0)]


class MarketCommand(_Command):
    """Fields of the market's row; `price`, `bids`, `asks` pin what is quoted, null lets it go.

    `price_precision` brings back the significant digits of before and hides the step.
    """

    status: MarketStatus | None = None
    tick: Price | None = None
    min_base: Price | None = None
    min_quote: Price | None = None
    max_open_orders: Annotated[int, Field(ge=0)] | None = None
    price_precision: Annotated[int, Field(ge=1)] | None = None
    price: Price | None = None
    bids: tuple[tuple[Price, Price], ...] | None = None
    asks: tuple[tuple[Price, Price], ...] | None = None


class BalanceCommand(_Command):
    """A deposit, or with a negative amount a withdrawal."""

    symbol: str
    amount: Decimal
    account: str = OWNER


class KeyCommand(_Command):
    """`addresses` lists who may use the key, null: anyone."""

    rights: frozenset[Right] | None = None
    addresses: frozenset[str] | None = None
    active: bool | None = None
    confirmed: bool | None = None


def admin_routes(exchange: Exchange, faults: FaultPlan[ExchangeFaultRequest]) -> list[Route]:
    """The routes under /_admin of one exchange."""

    async def state(_request: Request) -> Response:
        return JSONResponse(_state(exchange))

    async def record(request: Request) -> Response:
        wanted = request.query_params
        return JSONResponse(
            [
                _record_row(exchange, accepted)
                for accepted in exchange.record
                if wanted.get("market") in (None, accepted.market)
                and wanted.get("clientOrderId") in (None, accepted.client_order_id)
            ]
        )

    def clock(command: ClockCommand) -> object:
        if command.speed is not None:
            exchange.clock.set_speed(command.speed)
        if command.offset_ms is not None:
            exchange.clock.set_offset(command.offset_ms)
        exchange.clock.step(command.step_ms)
        exchange.clock.advance(command.advance_ms)
        return _state(exchange)["clock"]

    def settings(command: SettingsCommand) -> object:
        for name, value in command.model_dump(exclude_none=True).items():
            setattr(exchange.settings, name, value)
        return _state(exchange)["settings"]

    def limits(command: LimitsCommand) -> object:
        if command.points is not None:
            exchange.limits.points = command.points
        if command.forget:
            exchange.limits.forget()
        return {"points": exchange.limits.points}

    def balances(command: BalanceCommand) -> object:
        exchange.engine.deposit(command.account, command.symbol, command.amount)
        return _state(exchange)["balances"]

    def orders(command: ForeignOrders) -> object:
        return {"orderIds": place_foreign(exchange, command)}

    async def market(request: Request) -> Response:
        name = request.path_params["market"]
        if name not in exchange.engine.markets:
            return refuse(f"no market {name}", 404)
        return await run_command(
            request, MarketCommand, lambda command: _change_market(exchange, name, command)
        )

    async def key(request: Request) -> Response:
        name = request.path_params["key"]
        if name not in exchange.keys:
            return refuse("no such key", 404)
        return await run_command(request, KeyCommand, partial(_change_key, exchange, name))

    return [
        Route("/_admin/state", state),
        Route("/_admin/record", record),
        command_route("/_admin/clock", ClockCommand, clock),
        command_route("/_admin/settings", SettingsCommand, settings),
        command_route("/_admin/limits", LimitsCommand, limits),
        command_route("/_admin/balances", BalanceCommand, balances),
        command_route("/_admin/orders", ForeignOrders, orders),
        Route("/_admin/markets/{market}", market, methods=["POST"]),
        Route("/_admin/keys/{key}", key, methods=["POST"]),
        *fault_routes(faults, KINDS, ExchangeFaultRequest),
    ]


def _change_market(exchange: Exchange, name: str, command: MarketCommand) -> object:
    given = command.model_fields_set
    fields = command.model_dump(include=given - {"price", "bids", "asks"})
    market = replace(exchange.engine.markets[name], **fields)
    exchange.engine.change_market(market)
    maker = exchange.engine.makers[name]
    if "price" in given:
        maker.pinned_price = command.price
    if given & {"bids", "asks"}:
        sides = (command.bids, command.asks)
        pinned = Ladder(*(tuple(Level(*pair) for pair in side or ()) for side in sides))
        maker.pin(None if sides == (None, None) else pinned)
    return market.row


def _change_key(exchange: Exchange, name: str, command: KeyCommand) -> object:
    given = command.model_fields_set
    fields = {field: getattr(command, field) for field in given}
    changed = replace(exchange.keys[name], **fields)
    exchange.keys[name] = changed
    return {
        "rights": sorted(changed.rights),
        "addresses": None if changed.addresses is None else sorted(changed.addresses),
        "active": changed.active,
        "confirmed": changed.confirmed,
    }


def _state(exchange: Exchange) -> dict[str, object]:
    now = exchange.clock.now()
    settings, ledger = exchange.settings, exchange.engine.ledger
    return {
        "source": exchange.source,
        "clock": {
            "shown_ms": now.shown_ms,
            "steady_ms": now.steady_ms,
            "speed": exchange.clock.speed,
            "offset_ms": exchange.clock.offset_ms,
        },
        "settings": {
            "taker_rate": plain(settings.taker_rate),
            "maker_rate": plain(settings.maker_rate),
            "lookup_lag_ms": settings.lookup_lag_ms,
            "settle_after_ms": settings.settle_after_ms,
            "words": settings.words,
            "rounds": settings.rounds,
            "lists_operator_ids": settings.lists_operator_ids,
        },
        "balances": {
            account: {
                symbol: {
                    "available": plain(ledger.balance(Purse(account), symbol)),
                    "inOrder": plain(ledger.balance(Purse(account, "inOrder"), symbol)),
                }
                for symbol in ledger.symbols(account)
            }
            for account in ledger.accounts()
        },
    }


def _record_row(exchange: Exchange, accepted: Accepted) -> dict[str, object]:
    return {
        "market": accepted.market,
        "orderId": accepted.order_id,
        "clientOrderId": accepted.client_order_id,
        "operatorId": accepted.operator_id,
        "account": accepted.account,
        "accepted": accepted.accepted_ms,
        "request": accepted.request,
        "order": exchange.order_of(accepted).row(exchange.settings.words, exchange.clock.now().steady_ms),
    }
