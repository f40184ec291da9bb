"""Every bench, in the order in which they run and in which the document tells of them."""

from __future__ import annotations

from bench import claims, cold_start, execute, growth, queues, scan_tick
from bench.table import Bench

BENCHES: tuple[Bench, ...] = (
    execute.BENCH,
    cold_start.BENCH,
    scan_tick.BENCH,
    claims.BENCH,
    queues.BENCH,
    growth.BENCH,
)
