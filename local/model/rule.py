"""What the scripted model decides: buy a pullback that has turned, sell a rise that has turned, else hold.

A market is *stretched* when it stands at least one average true range from its 50-hour average with the RSI
on the same side, and it has *turned* when the last six hours went the other way. Both together, on about the
week's usual volume, are the whole rule: mean reversion, a textbook idea and no advice.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from typing import Any, Literal

LEAST_STRETCH = Decimal(1)
USUAL_VOLUME = Decimal("0.9")
RSI_MARGIN = Decimal(5)
SURE_ENOUGH = Decimal(60)


@dataclass(frozen=True)
class Decision:
    """The answer's five fields. Confidence is 0 to 100, the amount EUR in whole cents."""

    action: Literal["hold", "buy", "sell"]
    market: str | None
    amount_eur: Decimal | None
    confidence: Decimal
    rationale: str


@dataclass(frozen=True)
class _View:
    """One market through the rule: `stretch` in average true ranges, positive below the average."""

    market: str
    side: Literal["buy", "sell"]
    stretch: Decimal
    rsi: Decimal
    turn_percent: Decimal
    expected_percent: Decimal
    volume: Decimal

    @property
    def holds(self) -> bool:
        """Stretched, turned, and on a volume that means something."""
        return (
            self.stretch >= LEAST_STRETCH
            and self.rsi >= RSI_MARGIN
            and self.turn_percent > 0
            and self.volume >= USUAL_VOLUME
        )

    @property
    def confidence(self) -> Decimal:
        """50 is a coin toss; each part of the evidence adds its bounded share, 95 at most."""
        turn = self.turn_percent / self.expected_percent if self.expected_percent else Decimal(0)
        evidence = (
            8 * min(self.stretch, Decimal(2))
            + min(self.rsi, Decimal(20)) / 2
            + 12 * min(turn, Decimal(1))
            + 20 * min(max(self.volume - 1, Decimal(0)), Decimal("0.35"))
        )
        return _tenths(50 + evidence)

    def rationale(self) -> str:
        """The numbers behind the decision, for the person who decides about it."""
        where, level, turned = (
            ("below", "an oversold lean", "up")
            if self.side == "buy"
            else ("above", "an overbought lean", "down")
        )
        rsi = 50 - self.rsi if self.side == "buy" else 50 + self.rsi
        return (
            f"{self.market} stands {_tenths(self.stretch)} average true ranges {where} its 50-hour average, "
            f"and the RSI of {_tenths(rsi)} shows {level}. Over the last 6 hours the price has turned "
            f"{turned} by {_hundredths(self.turn_percent)} %, on {_hundredths(self.volume)} times the week's "
            "usual volume, which favours a return towards the average."
        )


def decide(data: Mapping[str, Any]) -> Decision:
    """Decide about the data of one question: `sizes` and `markets`, every number as text.

    Raises KeyError, TypeError or decimal.InvalidOperation when they are not what a scan sends.
    """
    views = [view for market in data["markets"] if (view := _view(market)).holds]
    best = max(views, key=lambda view: (view.confidence, view.market), default=None)
    if best is None or best.confidence < SURE_ENOUGH:
        looked_at = ", ".join(market["market"] for market in data["markets"])
        sentence = (
            f"Nothing in {looked_at} is both stretched away from the average and turning back towards it."
        )
        return Decision("hold", None, None, Decimal(60), sentence)
    most, least = Decimal(data["sizes"]["most_eur"]), Decimal(data["sizes"]["least_eur"])
    amount = max(least, most * (best.confidence - 50) / 50)
    return Decision(best.side, best.market, _cents(amount), best.confidence, best.rationale())


def _view(market: Mapping[str, Any]) -> _View:
    name = str(market["market"])
    close, average, true_range, rsi, turn, volatility, volume = (
        Decimal(market[field])
        for field in (
            "last_close",
            "sma_50h",
            "atr_14h",
            "rsi_14h",
            "change_6h_percent",
            "hourly_volatility_24h_percent",
            "volume_24h_against_week",
        )
    )
    stretch = (average - close) / true_range if true_range else Decimal(0)
    expected = volatility * Decimal(6).sqrt()
    if stretch >= 0:
        return _View(name, "buy", stretch, 50 - rsi, turn, expected, volume)
    return _View(name, "sell", -stretch, rsi - 50, -turn, expected, volume)


def _cents(value: Decimal) -> Decimal:
    return value.quantize(Decimal("0.01"), rounding=ROUND_FLOOR)


def _tenths(value: Decimal) -> Decimal:
    return value.quantize(Decimal("0.1"))


def _hundredths(value: Decimal) -> Decimal:
    return value.quantize(Decimal("0.01"))
