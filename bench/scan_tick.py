"""A tick of many owners beside a tick of one: the jobs of a tick wait for the model at the same time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import httpx
import psycopg

from bench.table import Bench, Row, Sample, at_most
from local import stack, world
from local.cycle import POLICY
from local.errors import LocalWorldError
from local.owner import Owner, create_user
from local.world import Options

OWNERS = 25
MODEL_S = 2.0
REPETITIONS = 7
TARGET = 1.25
_PATIENCE_S = 120.0


def many_beside_one() -> list[Row]:
    """Alternate a tick of one due job and one of 25, on a world of its own, and compare the medians.

    Raises LocalWorldError when the world cannot start, or when a tick did something else than its jobs.
    """
    with _served() as (base, address), httpx.Client(trust_env=False, timeout=_PATIENCE_S) as http:
        owners = [_owner(base, number) for number in range(OWNERS)]
        _tick(http, address, owners)
        alone, together = [], []
        for _ in range(REPETITIONS):
            alone.append(_tick(http, address, owners[:1]))
            together.append(_tick(http, address, owners))
    return [
        Row(
            f"a tick of {OWNERS} owners, model takes {MODEL_S:g} s",
            Sample(tuple(together), "s"),
            "a tick of one",
            Sample(tuple(alone), "s"),
            at_most(TARGET),
        )
    ]


@contextmanager
def _served() -> Iterator[tuple[stack.Stack, str]]:
    """Stack, exchange, slow model, and scan_tick as the cloud serves it; its address."""
    options = Options()
    with stack.running("bench-scan-tick") as base:
        stack.seed_controls(base.database_url)
        with psycopg.connect(base.database_url) as connection:
            connection.execute(
                "update public.trading_controls set max_daily_gpt_calls = null where singleton"
            )
        exchange, _ = world.start_exchange(base.folder, options)
        model = world.start_model(base.folder, delay_s=MODEL_S)
        environ = world.environment("scan_tick", base, exchange, model, options)
        yield base, world.start_function("scan_tick", base.folder, environ)


def _owner(base: stack.Stack, number: int) -> Owner:
    owner = create_user(base, f"owner-{number}@interlock.local", note="of a bench")
    calls = {"daily": 10_000, "hourly": 10_000}
    owner.call("set_trading_policy", p_policy={**POLICY, "limits": {"gpt": calls}})
    return owner


def _tick(http: httpx.Client, address: str, owners: Sequence[Owner]) -> float:
    """Make these owners' jobs due and run one tick, as the scheduler does; the seconds until its answer."""
    for owner in owners:
        owner.call("schedule_scan")
    began = time.monotonic()
    response = http.post(address, json={})
    took = time.monotonic() - began
    summary = response.raise_for_status().json()
    decided = summary["endings"].get("proposed", 0) + summary["endings"].get("held", 0)
    if not summary["claimed"] == summary["model_calls"] == decided == len(owners):
        raise LocalWorldError(f"A tick of {len(owners)} jobs ended otherwise: {summary}")
    return took


BENCH = Bench(
    "scan_tick",
    "A tick of many owners",
    f"""
`scan_tick` as the cloud serves it, with a model that takes {MODEL_S:g} s for every answer: a tick that
finds {OWNERS} due jobs beside one that finds a single job, in turns, {REPETITIONS} times each, from request
to answer.
""",
    many_beside_one,
)
