"""Bitvavo's own public data as the source of prices: market rows and the last 1,440 hours of candles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

import httpx

from local.errors import LocalWorldError
from local.exchange.candles import HOUR_MS, Candle, Series
from local.exchange.markets import MARKETS, Market, MarketStatus

BITVAVO = "https://api.bitvavo.com/v2"


class PublicDataError(LocalWorldError):
    """The public data cannot be had; the text says from where and why."""


@dataclass(frozen=True)
class PublicData:
    """What the real exchange says about the markets that are simulated."""

    markets: Mapping[str, Market]
    series: Mapping[str, Series]


def fetch(now_ms: int, base_url: str = BITVAVO) -> PublicData:
    """Every market of ours that trades there, with its closed hourly candles. Raises PublicDataError."""
    try:
        with httpx.Client(timeout=10, trust_env=False) as http:
            rows = http.get(f"{base_url}/markets").raise_for_status().json()
            markets = {row["market"]: _market(row) for row in rows if row["market"] in MARKETS}
            series = {
                name: _series(name, base_url, http.get(f"{base_url}/{name}/candles?interval=1h"), now_ms)
                for name in markets
            }
    except httpx.HTTPError as error:
        raise PublicDataError(
            f"Bitvavo's public data at {base_url} cannot be reached ({type(error).__name__}): "
            "leave out PRICES=bitvavo, or try again with a network."
        ) from None
    except (ValueError, KeyError, TypeError, InvalidOperation) as error:
        raise PublicDataError(
            f"Bitvavo's public data at {base_url} cannot be read ({error!r}): leave out PRICES=bitvavo."
        ) from None
    return PublicData(markets, {name: one for name, one in series.items() if one.candles})


def _market(row: Mapping[str, object]) -> Market:
    known = MARKETS[str(row["market"])]
    tick, precision = row.get("tickSize"), row.get("pricePrecision")
    return Market(
        name=known.name,
        tick=Decimal(str(tick)) if tick is not None else known.tick,
        quantity_decimals=int(str(row["quantityDecimals"])),
        min_base=Decimal(str(row["minOrderInBaseAsset"])),
        min_quote=Decimal(str(row["minOrderInQuoteAsset"])),
        notional_decimals=int(str(row["notionalDecimals"])),
        status=MarketStatus(str(row["status"])),
        price_precision=int(str(precision)) if tick is None and precision is not None else None,
    )


def _series(name: str, base_url: str, answer: httpx.Response, now_ms: int) -> Series:
    rows = answer.raise_for_status().json()
    candles = (Candle(int(at), *map(Decimal, prices)) for at, *prices in rows)
    closed = sorted(candle for candle in candles if candle.at + HOUR_MS <= now_ms)
    return Series(name, HOUR_MS, tuple(closed), base_url)
