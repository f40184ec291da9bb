"""Every bench, in the order in which they run and in which the document tells of them."""

from __future__ import annotations

from bench import scan_tick
from bench.table import Bench

BENCHES: tuple[Bench, ...] = (scan_tick.BENCH,)
