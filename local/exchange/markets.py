"""The EUR markets of the simulated exchange, in the shape of `GET /markets`.

Minimums and precisions follow the rows recorded in September 2025 and 2026; the prices are only where the
seeded generator starts.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from local.exchange.decimals import unit_of

ORDER_TYPES = ("market", "limit")


class MarketStatus(StrEnum):
    TRADING = "trading"
    HALTED = "halted"
    AUCTION = "auction"
    AUCTION_MATCHING = "auctionMatching"
    CANCEL_ONLY = "cancelOnly"


@dataclass(frozen=True)
class Market:
    """One market: `tick` is the step of prices, decimals limit amounts, minimums are per order."""

    name: str
    tick: Decimal
    quantity_decimals: int
    min_base: Decimal
    min_quote: Decimal = Decimal("5.00")
    max_base: Decimal = Decimal(1_000_000_000)
    max_quote: Decimal = Decimal(1_000_000_000)
    notional_decimals: int = 2
    max_open_orders: int = 100
    status: MarketStatus = MarketStatus.TRADING
    # Before v2.12.0 the exchange limited significant digits instead of the step; then the step is hidden.
    price_precision: int | None = None

    @property
    def base(self) -> str:
        return self.name.split("-")[0]

    @property
    def quote(self) -> str:
        return self.name.split("-")[1]

    @property
    def unit(self) -> Decimal:
        """The smallest amount of the base asset."""
        return unit_of(self.quantity_decimals)

    @property
    def cent(self) -> Decimal:
        """The smallest amount of the quote asset that a balance moves by."""
        return unit_of(self.notional_decimals)

    @property
    def row(self) -> dict[str, object]:
        """The element of `GET /markets`."""
        return {
            "market": self.name,
            "status": self.status.value,
            "base": self.base,
            "quote": self.quote,
            "pricePrecision": self.price_precision,
            "minOrderInBaseAsset": f"{self.min_base:.{self.quantity_decimals}f}",
            "minOrderInQuoteAsset": f"{self.min_quote:.{self.notional_decimals}f}",
            "maxOrderInBaseAsset": f"{self.max_base:.{self.quantity_decimals}f}",
            "maxOrderInQuoteAsset": f"{self.max_quote:.{self.notional_decimals}f}",
            "quantityDecimals": self.quantity_decimals,
            "notionalDecimals": self.notional_decimals,
            "maxOpenOrders": self.max_open_orders,
            "tickSize": f"{self.tick:f}" if self.price_precision is None else None,
            "feeCategory": "A",
            "orderTypes": list(ORDER_TYPES),
        }


# base, name, start price in EUR, price step, decimals of an amount, smallest amount
_ASSETS = (
    ("BTC", "Bitcoin", "62000", "1.00", 8, "0.00006100"),
    ("ETH", "Ethereum", "3900", "0.1", 8, "0.00130000"),
    ("SOL", "Solana", "160", "0.01", 8, "0.03000000"),
    ("XRP", "XRP", "2.1", "0.0001", 6, "2.000000"),
    ("ADA", "Cardano", "0.62", "0.00001", 6, "7.000000"),
    ("DOGE", "Dogecoin", "0.17", "0.00001", 2, "25.00"),
    ("DOT", "Polkadot", "5.9", "0.0001", 6, "0.800000"),
    ("LTC", "Litecoin", "88", "0.01", 8, "0.05000000"),
    ("BCH", "Bitcoin Cash", "470", "0.1", 8, "0.01000000"),
    ("LINK", "Chainlink", "14.2", "0.001", 6, "0.350000"),
    ("AVAX", "Avalanche", "27", "0.001", 6, "0.180000"),
    ("UNI", "Uniswap", "7.4", "0.001", 6, "0.650000"),
    ("ATOM", "Cosmos", "5.1", "0.0001", 6, "0.950000"),
    ("XLM", "Stellar", "0.24", "0.00001", 5, "20.00000"),
    ("TRX", "TRON", "0.21", "0.00001", 4, "22.0000"),
    ("NEAR", "NEAR Protocol", "3.6", "0.0001", 6, "1.300000"),
    ("AAVE", "Aave", "142", "0.01", 8, "0.03500000"),
    ("ALGO", "Algorand", "0.19", "0.00001", 4, "25.0000"),
    ("FIL", "Filecoin", "3.3", "0.0001", 6, "1.500000"),
    ("SUI", "Sui", "2.7", "0.0001", 5, "1.80000"),
    ("HBAR", "Hedera", "0.16", "0.00001", 5, "30.00000"),
    ("ETC", "Ethereum Classic", "18", "0.001", 6, "0.270000"),
    ("SHIB", "Shiba Inu", "0.0000117", "0.000000001", 0, "420000"),
    ("PEPE", "Pepe", "0.0000098", "0.000000001", 0, "500000"),
)

NAMES = {"EUR": "Euro"} | {base: name for base, name, *_ in _ASSETS}
START_PRICES = {f"{base}-EUR": Decimal(price) for base, _, price, *_ in _ASSETS}
MARKETS = {
    f"{base}-EUR": Market(f"{base}-EUR", Decimal(tick), decimals, Decimal(minimum))
    for base, _, _, tick, decimals, minimum in _ASSETS
}


def market_for(name: str, price: Decimal) -> Market:
    """A market that the table above does not list, with five significant digits of price."""
    tick = unit_of(4 - price.adjusted())
    return MARKETS.get(name) or Market(name, tick, 8, (Decimal(5) / price).quantize(unit_of(8)))


def asset_row(symbol: str) -> dict[str, object]:
    """The element of `GET /assets`."""
    return {
        "symbol": symbol,
        "name": NAMES.get(symbol, symbol),
        "decimals": 2 if symbol == "EUR" else 8,
        "depositFee": "0",
        "depositConfirmations": 0,
        "depositStatus": "OK",
        "withdrawalFee": "0",
        "withdrawalMinAmount": "0",
        "withdrawalStatus": "OK",
        "networks": ["SEPA"] if symbol == "EUR" else [symbol],
        "message": "",
    }
