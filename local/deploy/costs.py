"""`python -m local.deploy.costs`: what a deployment costs a month, by public list prices.

An estimate, with what was assumed. Prices in US dollars without tax, from the vendors' price pages as stored
copies had them in November 2026, for a first-tier region such as europe-west4; the bill is what counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

READ = "November 2026"
_HOURS = 730
_RUNS = 2 * 60 * 24 * 365 // 12
"""Calls of the scheduler a month: two functions, each once a minute."""
_SECONDS_A_RUN = Decimal("1.5")
_SECRET_VERSIONS = 6


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the bill, in US dollars a month, and how it comes about."""

    name: str
    usd: Decimal
    because: str


def items() -> Iterator[Item]:
    """What is billed whatever happens, then what depends on use."""
    yield Item("fixed address", Decimal("0.005") * _HOURS, f"$0.005 an hour, {_HOURS} hours")
    yield Item(
        "Cloud NAT",
        Decimal("0.0014") * _HOURS * 3 + Decimal("0.045") * 5,
        "$0.0014 an hour and instance, three of them; $0.045 a GiB, five of them",
    )
    cpu = max(Decimal(0), _RUNS * _SECONDS_A_RUN - 180_000) * Decimal("0.000024")
    memory = max(Decimal(0), _RUNS * _SECONDS_A_RUN / 2 - 360_000) * Decimal("0.0000025")
    yield Item(
        "Cloud Run",
        cpu + memory,
        f"{_RUNS:,} runs of {_SECONDS_A_RUN} s on 1 vCPU and 0.5 GiB; 180,000 vCPU-seconds are free",
    )
    yield Item("Cloud Scheduler", Decimal(0), "two jobs; three are free a billing account, then $0.10 each")
    yield Item(
        "Secret Manager", Decimal(0), f"{_SECRET_VERSIONS} versions; six are free, then $0.06 each a month"
    )
    yield Item("Logging", Decimal(0), "below 50 GiB a month, which is free; then $0.50 a GiB")


def main() -> None:
    """Print the estimate, and what is not in it."""
    listed = list(items())
    print(f"\n  What it costs a month: an estimate by the list prices of {READ}, without tax")
    for item in listed:
        print(f"  {item.name:<17} {item.usd:>6.2f} USD  {item.because}")
    print(f"  {'together':<17} {sum((item.usd for item in listed), Decimal(0)):>6.2f} USD")
    print(
        "  Not in it: builds and stored images (cents), alert conditions (Google has announced a price for\n"
        "  each), Supabase (the free plan pauses an idle project), the model's tokens (bounded by\n"
        "  MAX_DAILY_GPT_TOKENS) and the exchange's fees."
    )


if __name__ == "__main__":
    main()
