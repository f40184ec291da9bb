"""The simulated exchange as one object: clock, core, keys, limits and the record of what it accepted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from local.exchange.candles import STEPS, Series, load
from local.exchange.clock import Clock
from local.exchange.engine import Engine, Settings
from local.exchange.generator import generate
from local.exchange.keys import DEFAULT_KEYS, OWNER, ApiKey
from local.exchange.limits import Limits
from local.exchange.markets import MARKETS, START_PRICES, Market, market_for
from local.exchange.orders import Order
from local.exchange.prices import PricePath
from local.exchange.public import PublicData

REPOSITORY = Path(__file__).resolve().parents[2]
SHARED_CANDLES = REPOSITORY.parent / "shared" / "data"
DEFAULT_CANDLES = SHARED_CANDLES if SHARED_CANDLES.is_dir() else None
DEFAULT_BALANCES = {"EUR": Decimal(10_000), "BTC": Decimal("0.25"), "ETH": Decimal(2)}
DEFAULT_SEED = 10
"""One on whose prices the scripted model proposes, so that a first run without candles shows an order."""


@dataclass(frozen=True)
class Accepted:
    """One accepted order with the request that made it; `request` is None for a foreign order."""

    account: str
    market: str
    order_id: str
    client_order_id: str | None
    operator_id: int
    accepted_ms: int
    request: Mapping[str, str] | None


@dataclass
class Exchange:
    """Everything behind the HTTP layer. `source` says where the prices come from."""

    clock: Clock
    engine: Engine
    keys: dict[str, ApiKey]
    limits: Limits
    source: str
    began_ms: int = 0
    """When the last of the candles had closed, Unix ms: from then on their series is repeated."""
    record: list[Accepted] = field(default_factory=list)

    @property
    def settings(self) -> Settings:
        return self.engine.settings

    def order_of(self, accepted: Accepted) -> Order:
        """The present state of a recorded order."""
        now = self.clock.now()
        order = self.engine.order(accepted.account, accepted.market, accepted.order_id, now.steady_ms)
        if order is None:
            raise LookupError(f"no order {accepted.order_id} in {accepted.market}")
        return order


def create_exchange(
    *,
    clock: Clock | None = None,
    candles: Path | PublicData | None = DEFAULT_CANDLES,
    seed: int = DEFAULT_SEED,
    settings: Settings | None = None,
    balances: Mapping[str, Decimal] = DEFAULT_BALANCES,
    keys: Iterable[ApiKey] = DEFAULT_KEYS,
    points: int = 1000,
    began_ms: int | None = None,
) -> Exchange:
    """An exchange whose last closed candles end now, or ended when `began_ms` says.

    `candles` is a file or folder, Bitvavo's public data, or None for generated ones alone; markets without
    candles get generated ones. `points` is the rate limit a minute. Raises CandleError.
    """
    clock = clock or Clock()
    now_ms = clock.now().steady_ms if began_ms is None else began_ms
    markets, held = _holdings(candles, now_ms)
    paths = {name: _path(market, held.get(name), seed, now_ms) for name, market in markets.items()}
    engine = Engine(markets, paths, settings or Settings(), seed)
    by_name = {key.key: key for key in keys}
    for account in dict.fromkeys((OWNER, *(key.account for key in by_name.values()))):
        for symbol, amount in balances.items():
            engine.deposit(account, symbol, amount)
    return Exchange(clock, engine, by_name, Limits(points), _describe(held, len(markets), seed), now_ms)


def _holdings(
    candles: Path | PublicData | None, now_ms: int
) -> tuple[Mapping[str, Market], Mapping[str, Series]]:
    if candles is None:
        return MARKETS, {}
    if isinstance(candles, PublicData):
        return MARKETS | dict(candles.markets), candles.series
    held = {name: series.ending_at(now_ms) for name, series in load(candles).items()}
    return MARKETS | {name: market_for(name, one.candles[-1].close) for name, one in held.items()}, held


def _path(market: Market, held: Series | None, seed: int, now_ms: int) -> PricePath:
    def load() -> Series:
        return held or generate(market.name, START_PRICES[market.name], market.tick, seed).ending_at(now_ms)

    return PricePath(load, market.tick)


def _describe(held: Mapping[str, Series], markets: int, seed: int) -> str:
    intervals = {step: name for name, step in STEPS.items()}
    real = [f"{one.market} {intervals[one.step_ms]} from {one.source}" for one in held.values()]
    if len(real) > 3:
        real = [*real[:2], f"{len(real) - 2} more"]
    if len(held) < markets:
        real.append(f"seeded generator (seed {seed}) for {markets - len(held)} markets")
    return "; ".join(real)
