"""Reads markets for the jobs of one tick: each once, whoever asks, within the exchange's rate limit."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from contextvars import copy_context
from datetime import UTC, datetime, timedelta
from threading import Lock

from functions.scan_tick.indicators import Bar
from functions.scan_tick.market import (
    CANDLES_READ,
    INTERVAL_NAME,
    MarketFacts,
    Reading,
    Trouble,
    Unusable,
    judge,
)
from shared.bitvavo import BitvavoReadonly, Candle
from shared.errors import ExchangeError, ExchangeRefused
from shared.events import Event
from shared.log import log

FRESH_FOR_S = 10.0
"""A job that asks later than this reads the market anew: its reference price must be of now."""

POINTS_LEFT_ALONE = 300
"""Of the exchange's rate limit per minute; approvals and cleanup live on them."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OWN_FAULT_STATUSES = frozenset({400, 404})


class MarketReader:
    """The markets as one tick sees them. Safe to share between threads; a failure is an answer here too.

    `pool` runs the reads and nothing that waits for them.
    """

    def __init__(
        self,
        exchange: BitvavoReadonly,
        pool: Executor,
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
    ) -> None:
        self._exchange = exchange
        self._pool = pool
        self._now = now
        self._monotonic = monotonic
        self._lock = Lock()
        self._read: dict[str, tuple[float, Future[MarketFacts | Unusable]]] = {}
        self.reads = 0

    def read(self, markets: Sequence[str], deadline: float) -> list[MarketFacts | Unusable]:
        """Facts or the reason why there are none for each market, in order.

        A market that is not read by `deadline` (monotonic seconds) is unreadable for this job.
        """
        reading = [(market, self._shared(market)) for market in markets]
        return [self._result(market, future, deadline) for market, future in reading]

    def _shared(self, market: str) -> Future[MarketFacts | Unusable]:
        with self._lock:
            now = self._monotonic()
            started, future = self._read.get(market, (float("-inf"), None))
            if future is None or now - started > FRESH_FOR_S:
                future = self._pool.submit(copy_context().run, self._read_one, market)
                self._read[market] = (now, future)
                self.reads += 1
            return future

    def _result(
        self, market: str, future: Future[MarketFacts | Unusable], deadline: float
    ) -> MarketFacts | Unusable:
        try:
            return future.result(timeout=max(0.0, deadline - self._monotonic()))
        except TimeoutError:
            return Unusable(market, Trouble.UNREADABLE, "not read in time")

    def _read_one(self, market: str) -> MarketFacts | Unusable:
        if self._limited():
            log(Event.RATE_LIMIT_HEEDED, market=market)
            return Unusable(market, Trouble.RATE_LIMITED, "the exchange's rate limit is nearly used up")
        try:
            found = self._exchange.market(market)
            candles = self._exchange.candles(market, INTERVAL_NAME, CANDLES_READ)
            book = self._exchange.book_top(market)
        except ExchangeRefused as refused:
            trouble = (
                Trouble.UNKNOWN_MARKET if refused.http_status in _OWN_FAULT_STATUSES else Trouble.UNREADABLE
            )
            return self._unusable(market, trouble, f"refused with code {refused.error_code}")
        except ExchangeError as error:
            return self._unusable(market, Trouble.UNREADABLE, str(error))
        return judge(
            Reading(
                market=market,
                read_at=self._now(),
                status=found.standing,
                quote=found.quote,
                quantity_decimals=found.quantity_decimals,
                min_base=found.min_base,
                min_quote=found.min_quote,
                bid=book.bid,
                ask=book.ask,
                bars=tuple(_bar(candle) for candle in candles),
            )
        )

    def _limited(self) -> bool:
        limit = self._exchange.rate_limit
        if limit is None or limit.remaining >= POINTS_LEFT_ALONE:
            return False
        return (self._now() - _EPOCH) // timedelta(milliseconds=1) < limit.reset_at_ms

    def _unusable(self, market: str, trouble: Trouble, sentence: str) -> Unusable:
        log(Event.MARKET_FACTS_UNREADABLE, market=market, trouble=trouble, reason=sentence)
        return Unusable(market, trouble, sentence)


def _bar(candle: Candle) -> Bar:
    opened_at = _EPOCH + timedelta(milliseconds=candle.time_ms)
    return Bar(opened_at, candle.open, candle.high, candle.low, candle.close, candle.volume)
