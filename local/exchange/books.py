"""The exchange's books on disk: what one run leaves to the next, so that no kept order is forgotten.

Kept are accounts, orders with all their states, the record of what was accepted, and when the prices began.
What was commanded (faults, settings, pinned prices, rights) and the list of public trades are not.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from pydantic import TypeAdapter, ValidationError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from local.errors import LocalWorldError, what_happened
from local.exchange.exchange import Accepted, Exchange
from local.exchange.orders import Order


@dataclass(frozen=True)
class Books:
    """Everything that is kept; `orders` holds every state of each, in the order of their arrival."""

    began_ms: int
    balances: list[tuple[str, str, str, Decimal]]
    orders: list[list[Order]]
    reached: dict[str, int]
    fills: int
    record: list[Accepted]


_FORMAT = TypeAdapter(Books)


class BooksError(LocalWorldError):
    """The books cannot be read, written or gone on with."""


def read(file: Path) -> Books | None:
    """What the last run left; None when there was none. Raises BooksError."""
    try:
        return _FORMAT.validate_json(file.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        why = what_happened(error) if isinstance(error, OSError) else "this version cannot read them."
        raise BooksError(f"The exchange's books {file} cannot be used: {why} FRESH=1 begins anew.") from None


def write(file: Path, exchange: Exchange) -> None:
    """Keep the books as they are now, whole or not at all, also when the power goes. Raises BooksError."""
    balances, orders, reached, fills = exchange.engine.books()
    books = Books(exchange.began_ms, balances, orders, reached, fills, exchange.record)
    draft = file.with_suffix(".new")
    try:
        with draft.open("wb") as handle:
            handle.write(_FORMAT.dump_json(books))
            handle.flush()
            os.fsync(handle.fileno())
        draft.replace(file)
    except OSError as error:
        raise BooksError(f"The exchange's books {file} cannot be kept: {what_happened(error)}") from None


def go_on(exchange: Exchange, books: Books) -> None:
    """Put an exchange that has just been made where the last run left it. Raises BooksError."""
    held = {versions[0].market.name for versions in books.orders}
    if missing := sorted(held - exchange.engine.markets.keys()):
        raise BooksError(
            f"The exchange's books have orders in {', '.join(missing)}, of which it has no prices now: "
            "use the CANDLES or PRICES of the last run, or FRESH=1 to begin anew."
        )
    exchange.engine.go_on(books.balances, books.orders, books.reached, books.fills)
    exchange.record.extend(books.record)
    # Time may have been moved ahead by command: it never runs backwards.
    latest = max((versions[-1].updated.steady_ms for versions in books.orders), default=0)
    exchange.clock.advance(max(0, latest - exchange.clock.now().steady_ms))


@dataclass
class KeptBooks:
    """Writes the books before an answer leaves that tells of a change: what was told is never forgotten."""

    app: ASGIApp
    exchange: Exchange
    file: Path
    _written: int = -1

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def keep_and_send(message: Message) -> None:
            changes = self.exchange.engine.changes
            if changes != self._written:
                write(self.file, self.exchange)
                self._written = changes
            await send(message)

        await self.app(scope, receive, keep_and_send)
