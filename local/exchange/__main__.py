"""`python -m local.exchange`: the simulated exchange alone, for anyone who writes a Bitvavo client."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from local.errors import LocalWorldError
from local.exchange import books
from local.exchange.app import create_app
from local.exchange.clock import Clock
from local.exchange.exchange import DEFAULT_CANDLES, DEFAULT_SEED, create_exchange
from local.exchange.keys import READONLY_KEY, READONLY_SECRET, TRADE_KEY, TRADE_SECRET
from local.exchange.public import fetch
from local.faults.serving import address_of, listen, serve

SOURCES = ("candles", "bitvavo")


def main() -> None:
    options = _options()
    try:
        listener = listen(options.port)
        clock = Clock(speed=options.speed)
        left = None if options.books is None else books.read(options.books)
        candles = fetch(clock.now().steady_ms) if options.prices == "bitvavo" else options.candles
        exchange = create_exchange(
            clock=clock,
            candles=candles,
            seed=options.seed,
            points=options.points,
            # Prices of now are never of an earlier run; a series goes on where the last run left it.
            began_ms=left.began_ms if left is not None and options.prices != "bitvavo" else None,
        )
        if left is not None:
            books.go_on(exchange, left)
    except LocalWorldError as error:
        sys.exit(str(error))
    exchange.settings.lookup_lag_ms = options.lag
    print(
        f"Simulated Bitvavo exchange at {address_of(listener)}/v2\n"
        f"  prices      {exchange.source}\n"
        f"  read-only   {READONLY_KEY}\n"
        f"              {READONLY_SECRET}\n"
        f"  trade       {TRADE_KEY}\n"
        f"              {TRADE_SECRET}",
        flush=True,
    )
    serve(create_app(exchange, books=options.books), listener)


def _options() -> argparse.Namespace:
    named = os.environ.get("CANDLES")
    parser = argparse.ArgumentParser(prog="python -m local.exchange", description=__doc__)
    parser.add_argument("--port", type=int, help="default: a free one")
    parser.add_argument(
        "--candles",
        type=Path,
        default=Path(named) if named else DEFAULT_CANDLES,
        help="file or folder of timestamp,open,high,low,close,volume; default: CANDLES, else generated",
    )
    parser.add_argument(
        "--prices",
        choices=SOURCES,
        default=os.environ.get("PRICES") or "candles",
        help="bitvavo: its public data, over the internet; default: PRICES, else candles",
    )
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED, help="of generated prices and book sizes")
    parser.add_argument("--speed", type=float, default=1.0, help="seconds that pass here per second")
    parser.add_argument("--lag", type=int, default=250, help="ms that GET /order lags behind")
    parser.add_argument("--books", type=Path, help="file that keeps accounts and orders; default: none")
    parser.add_argument("--points", type=int, default=1000, help="rate limit a minute")
    options = parser.parse_args()
    if options.prices not in SOURCES:
        sys.exit(f"PRICES={options.prices} does not exist: leave it out, or set one of {', '.join(SOURCES)}.")
    return options


if __name__ == "__main__":
    main()
