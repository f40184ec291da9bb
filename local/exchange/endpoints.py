"""The endpoints under /v2: one table, and one function each that turns a call into the answer's JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from local.exchange.book import Level
from local.exchange.candles import DAY_MS, INTERVALS
from local.exchange.clock import Instant
from local.exchange.decimals import ZERO, plain, rounding
from local.exchange.exchange import Accepted, Exchange
from local.exchange.intake import read_new_order, read_operator_id
from local.exchange.keys import ApiKey, Right
from local.exchange.ledger import Purse
from local.exchange.markets import asset_row
from local.exchange.orders import Order, trade_row
from local.exchange.refusals import Refusal

Json = object


@dataclass(frozen=True)
class Call:
    """One request on its way: who asks for what, when, and how late its look-ups are."""

    params: Mapping[str, str]
    path: Mapping[str, str]
    body: Mapping[str, object]
    key: ApiKey | None
    now: Instant
    lag_ms: int | None = None
    request: Mapping[str, str] = field(default_factory=dict)

    @property
    def account(self) -> str:
        if self.key is None:
            raise Refusal(300)
        return self.key.account

    def as_of(self, usual_lag_ms: int = 0) -> int:
        """The moment (steady ms) whose state is read: a while ago, when a fault or the exchange lags."""
        return self.now.steady_ms - (usual_lag_ms if self.lag_ms is None else self.lag_ms)

    def whole(self, name: str, default: int, most: int) -> int:
        """A number of 1 to `most`. Raises Refusal 205."""
        text = self.params.get(name)
        if text is None:
            return default
        if not (_is_whole(text) and 1 <= int(text) <= most):
            raise Refusal(205, name)
        return int(text)

    def moment(self, name: str, default: int) -> int:
        """A Unix time in ms. Raises Refusal 205."""
        text = self.params.get(name)
        if text is None:
            return default
        if not _is_whole(text):
            raise Refusal(205, name)
        return int(text)


Handler = Callable[[Exchange, Call], Json]


@dataclass(frozen=True)
class Endpoint:
    """A route with its price in points, without and with `market`, the right it needs, and its parameters.

    `params` are those of the query; None: not checked, because the body carries them.
    """

    method: str
    path: str
    weight: int
    right: Right | None
    handler: Handler
    params: frozenset[str] = frozenset()
    weight_of_all: int | None = None

    @property
    def name(self) -> str:
        """As faults name it: `POST /order`."""
        return f"{self.method} {self.path}"

    def cost(self, params: Mapping[str, str]) -> int:
        if self.weight_of_all is not None and "market" not in params:
            return self.weight_of_all
        return self.weight


# Market data


def time(_exchange: Exchange, call: Call) -> Json:
    return {"time": call.now.shown_ms, "timeNs": call.now.shown_ns}


def markets(exchange: Exchange, call: Call) -> Json:
    return _one_or_all(exchange, call, lambda name: exchange.engine.markets[name].row)


def assets(exchange: Exchange, call: Call) -> Json:
    symbols = ["EUR", *(market.base for market in exchange.engine.markets.values())]
    wanted = call.params.get("symbol")
    if wanted is None:
        return [asset_row(symbol) for symbol in symbols]
    if wanted not in symbols:
        raise Refusal(205, "symbol")
    return asset_row(wanted)


def ticker_price(exchange: Exchange, call: Call) -> Json:
    def row(name: str) -> dict[str, object]:
        return {"market": name, "price": plain(exchange.engine.makers[name].mid(call.now.steady_ms))}

    return _one_or_all(exchange, call, row)


def ticker_book(exchange: Exchange, call: Call) -> Json:
    return _one_or_all(exchange, call, lambda name: {"market": name} | _best(exchange, call, name))


@rounding()
def ticker_24h(exchange: Exchange, call: Call) -> Json:
    now = call.now.steady_ms

    def row(name: str) -> dict[str, object]:
        maker = exchange.engine.makers[name]
        last = maker.mid(now)
        low, high = maker.path.extremes(now - DAY_MS, now)
        volume = maker.path.volume(now - DAY_MS, now)
        day_ago = call.now.shown_ms - DAY_MS
        return {
            "market": name,
            "startTimestamp": day_ago,
            "timestamp": call.now.shown_ms,
            "open": plain(maker.path.price(now - DAY_MS)),
            "openTimestamp": day_ago,
            "high": plain(max(high, last)),
            "low": plain(min(low, last)),
            "last": plain(last),
            "closeTimestamp": call.now.shown_ms,
            **_best(exchange, call, name),
            "volume": plain(volume),
            "volumeQuote": plain(round(volume * (low + high) / 2, 2)),
        }

    return _one_or_all(exchange, call, row)


def book(exchange: Exchange, call: Call) -> Json:
    name = _market(exchange, call.path["market"])
    depth = call.whole("depth", 1000, 1000)
    bids, asks = exchange.engine.book(name, call.now)
    return {
        "market": name,
        "nonce": call.now.steady_ms,
        "bids": [_pair(level) for level in bids[:depth]],
        "asks": [_pair(level) for level in asks[:depth]],
        "timestamp": call.now.shown_ns,
    }


@rounding()
def candles(exchange: Exchange, call: Call) -> Json:
    name = _market(exchange, call.path["market"])
    interval = call.params.get("interval")
    if interval is None:
        raise Refusal(203, "interval")
    if interval not in INTERVALS:
        raise Refusal(205, "interval")
    now = call.now.steady_ms
    start, end = call.moment("start", 0), call.moment("end", now)
    limit = call.whole("limit", 1440, 1440)
    rows = exchange.engine.makers[name].path.candles(interval, start, end, limit, now)
    return [[row.at, *(plain(value) for value in row[1:])] for row in rows]


def public_trades(exchange: Exchange, call: Call) -> Json:
    name = _market(exchange, call.path["market"])
    start, end = _window(call)
    return [
        {
            "id": trade.id,
            "timestamp": trade.at.shown_ms,
            "amount": plain(trade.amount),
            "price": plain(trade.price),
            "side": trade.side.value,
        }
        for trade in reversed(exchange.engine.public_trades[name])
        if start <= trade.at.shown_ms <= end
    ][: call.whole("limit", 500, 1000)]


# Orders


def place_order(exchange: Exchange, call: Call) -> Json:
    asked = read_new_order(call.body, exchange.engine.markets)
    order = exchange.engine.place(call.account, asked, call.now)
    exchange.record.append(
        Accepted(
            account=order.account,
            market=order.market.name,
            order_id=order.id,
            client_order_id=asked.client_order_id,
            operator_id=asked.operator_id,
            accepted_ms=call.now.shown_ms,
            request=call.request,
        )
    )
    return _row(exchange, order, call.now.steady_ms) if asked.response_required else order.receipt()


def get_order(exchange: Exchange, call: Call) -> Json:
    name = _market(exchange, _required(call, "market"))
    as_of_ms = call.as_of(exchange.settings.lookup_lag_ms)
    found = (
        exchange.engine.order(call.account, name, order_id, as_of_ms)
        for order_id in reversed(_order_ids(exchange, call, name))
    )
    order = next((order for order in found if order is not None), None)
    if order is None:
        raise Refusal(240)
    return _row(exchange, order, as_of_ms)


def cancel_order(exchange: Exchange, call: Call) -> Json:
    name = _market(exchange, _required(call, "market"))
    operator_id = _operator_id(call)
    ids = _order_ids(exchange, call, name)
    if not ids:
        raise Refusal(240)
    return _canceled(exchange.engine.cancel(call.account, name, ids[-1], call.now), operator_id)


def cancel_orders(exchange: Exchange, call: Call) -> Json:
    operator_id = _operator_id(call)
    return [
        _canceled(exchange.engine.cancel(call.account, order.market.name, order.id, call.now), operator_id)
        for name in _markets(exchange, call)
        for order in exchange.engine.open_orders(call.account, name)
    ]


def get_orders(exchange: Exchange, call: Call) -> Json:
    name = _market(exchange, _required(call, "market"))
    start, end = _window(call)
    first, last = call.params.get("orderIdFrom"), call.params.get("orderIdTo")
    orders = [
        order
        for order in exchange.engine.orders(call.account, name, call.as_of())
        if start <= order.created.shown_ms <= end
        and (first is None or order.id >= first)
        and (last is None or order.id <= last)
    ]
    rows = [_row(exchange, order, call.as_of()) for order in orders[: call.whole("limit", 500, 1000)]]
    if not exchange.settings.lists_operator_ids:
        for row in rows:
            del row["operatorId"]
    return rows


def get_open_orders(exchange: Exchange, call: Call) -> Json:
    base = call.params.get("base")
    orders = [
        order
        for name in _markets(exchange, call)
        for order in exchange.engine.orders(call.account, name, call.as_of())
        if order.is_open and (base is None or order.market.base == base)
    ]
    return [_row(exchange, order, call.as_of()) for order in orders]


def get_trades(exchange: Exchange, call: Call) -> Json:
    name = _market(exchange, _required(call, "market"))
    start, end = _window(call)
    limit = call.whole("limit", 500, 1000)
    orders = exchange.engine.orders(call.account, name, call.as_of())
    trades = [(order, fill) for order in orders for fill in order.fills]
    trades.sort(key=lambda trade: trade[1].number, reverse=True)
    numbers = {fill.id: fill.number for _, fill in trades}
    first, last = (_trade_number(call, numbers, bound) for bound in ("tradeIdFrom", "tradeIdTo"))
    return [
        trade_row(order, fill, call.as_of())
        for order, fill in trades
        if start <= fill.at.shown_ms <= end
        and (first is None or fill.number >= first)
        and (last is None or fill.number <= last)
    ][:limit]


# Account


def balance(exchange: Exchange, call: Call) -> Json:
    exchange.engine.advance(call.now)
    ledger = exchange.engine.ledger
    wanted = call.params.get("symbol")
    symbols = ledger.symbols(call.account) if wanted is None else [wanted]
    return [
        {
            "symbol": symbol,
            "available": plain(ledger.balance(Purse(call.account), symbol)),
            "inOrder": plain(ledger.balance(Purse(call.account, "inOrder"), symbol)),
        }
        for symbol in symbols
    ]


def account(exchange: Exchange, call: Call) -> Json:
    capabilities = ["buy", "sell"] if call.key and Right.TRADE in call.key.rights else []
    return {"fees": fees(exchange, call), "capabilities": capabilities}


def fees(exchange: Exchange, call: Call) -> Json:
    volume = sum(
        (order.filled_quote for name in exchange.engine.markets for order in _all(exchange, call, name)), ZERO
    )
    return {
        "tier": 0,
        "volume": plain(round(volume, 2)),
        "taker": plain(exchange.settings.taker_rate),
        "maker": plain(exchange.settings.maker_rate),
    }


def nothing(_exchange: Exchange, _call: Call) -> Json:
    """Deposits and withdrawals: none ever happened."""
    return []


def history(_exchange: Exchange, _call: Call) -> Json:
    return {"items": [], "currentPage": 1, "totalPages": 1, "maxItems": 100}


def withdraw(_exchange: Exchange, _call: Call) -> Json:
    raise Refusal(410)


_PAGE = frozenset({"limit", "start", "end"})
_MARKET = frozenset({"market"})
_ONE_ORDER = frozenset({"market", "orderId", "clientOrderId"})

ENDPOINTS = (
    Endpoint("GET", "/time", 1, None, time),
    Endpoint("GET", "/markets", 1, None, markets, _MARKET),
    Endpoint("GET", "/assets", 1, None, assets, frozenset({"symbol"})),
    Endpoint("GET", "/ticker/price", 1, None, ticker_price, _MARKET),
    Endpoint("GET", "/ticker/book", 1, None, ticker_book, _MARKET),
    Endpoint("GET", "/ticker/24h", 1, None, ticker_24h, _MARKET, weight_of_all=25),
    Endpoint("POST", "/order", 1, Right.TRADE, place_order),
    Endpoint("GET", "/order", 1, Right.TRADE, get_order, _ONE_ORDER),
    Endpoint("DELETE", "/order", 1, Right.TRADE, cancel_order, _ONE_ORDER | {"operatorId"}),
    Endpoint("GET", "/orders", 5, Right.TRADE, get_orders, _PAGE | {"market", "orderIdFrom", "orderIdTo"}),
    Endpoint(
        "DELETE", "/orders", 25, Right.TRADE, cancel_orders, _MARKET | {"operatorId"}, weight_of_all=100
    ),
    Endpoint("GET", "/ordersOpen", 5, Right.TRADE, get_open_orders, _MARKET | {"base"}, weight_of_all=100),
    Endpoint("GET", "/trades", 5, Right.TRADE, get_trades, _PAGE | {"market", "tradeIdFrom", "tradeIdTo"}),
    Endpoint("GET", "/balance", 5, Right.VIEW, balance, frozenset({"symbol"})),
    Endpoint("GET", "/account", 1, Right.VIEW, account),
    Endpoint("GET", "/account/fees", 1, Right.VIEW, fees, frozenset({"market", "quote"})),
    Endpoint(
        "GET",
        "/account/history",
        1,
        Right.VIEW,
        history,
        frozenset({"fromDate", "toDate", "page", "maxItems", "type"}),
    ),
    Endpoint("GET", "/depositHistory", 5, Right.VIEW, nothing, _PAGE | {"symbol"}),
    Endpoint("GET", "/withdrawalHistory", 5, Right.VIEW, nothing, _PAGE | {"symbol"}),
    Endpoint("POST", "/withdrawal", 1, Right.WITHDRAW, withdraw),
    Endpoint("GET", "/{market}/book", 1, None, book, frozenset({"depth"})),
    Endpoint("GET", "/{market}/candles", 1, None, candles, _PAGE | {"interval"}),
    Endpoint("GET", "/{market}/trades", 5, None, public_trades, _PAGE | {"tradeIdFrom", "tradeIdTo"}),
)


def _one_or_all(exchange: Exchange, call: Call, row: Callable[[str], dict[str, object]]) -> Json:
    """An object for `market=`, as recorded; else an array of all."""
    wanted = call.params.get("market")
    if wanted is not None:
        return row(_market(exchange, wanted))
    return [row(name) for name in exchange.engine.markets]


def _market(exchange: Exchange, name: str) -> str:
    if name not in exchange.engine.markets:
        raise Refusal(205, "market")
    return name


def _markets(exchange: Exchange, call: Call) -> list[str]:
    wanted = call.params.get("market")
    exchange.engine.advance(call.now)
    return list(exchange.engine.markets) if wanted is None else [_market(exchange, wanted)]


def _required(call: Call, name: str) -> str:
    if name not in call.params:
        raise Refusal(203, name)
    return call.params[name]


def _operator_id(call: Call) -> int:
    text = call.params.get("operatorId", "")
    return read_operator_id(int(text) if _is_whole(text) else None)


def _is_whole(text: str) -> bool:
    """An int64 without a sign, and perhaps a little more."""
    return text.isascii() and text.isdigit() and len(text) <= 19


def _order_ids(exchange: Exchange, call: Call, market: str) -> list[str]:
    """Orders that a call names, oldest first; clientOrderId wins when both ids are given."""
    exchange.engine.advance(call.now)
    if "clientOrderId" in call.params:
        return exchange.engine.ids_of(call.account, market, call.params["clientOrderId"])
    if "orderId" in call.params:
        return [call.params["orderId"]]
    raise Refusal(203, "orderId")


def _window(call: Call) -> tuple[int, int]:
    """The time of a page; Bitvavo reads at most 24 hours at once where it says anything about it."""
    start, end = call.moment("start", 0), call.moment("end", call.now.shown_ms)
    if "start" in call.params and "end" in call.params and not start <= end <= start + DAY_MS:
        raise Refusal(205, "end")
    return start, end


def _trade_number(call: Call, numbers: Mapping[str, int], name: str) -> int | None:
    trade_id = call.params.get(name)
    if trade_id is None:
        return None
    if trade_id not in numbers:
        raise Refusal(205, name)
    return numbers[trade_id]


def _best(exchange: Exchange, call: Call, name: str) -> dict[str, object]:
    bids, asks = exchange.engine.book(name, call.now)
    bid, ask = (side[0] if side else None for side in (bids, asks))
    return {
        "bid": plain(bid.price) if bid else None,
        "bidSize": plain(bid.amount) if bid else None,
        "ask": plain(ask.price) if ask else None,
        "askSize": plain(ask.amount) if ask else None,
    }


def _pair(level: Level) -> list[str]:
    return [plain(level.price), plain(level.amount)]


def _row(exchange: Exchange, order: Order, at_ms: int) -> dict[str, object]:
    return order.row(exchange.settings.words, at_ms)


def _canceled(order: Order, operator_id: int) -> dict[str, object]:
    row: dict[str, object] = {"orderId": order.id, "operatorId": operator_id}
    if order.asked.client_order_id is not None:
        row["clientOrderId"] = order.asked.client_order_id
    return row


def _all(exchange: Exchange, call: Call, name: str) -> list[Order]:
    return exchange.engine.orders(call.account, name, call.as_of())
