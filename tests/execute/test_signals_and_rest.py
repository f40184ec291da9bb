"""A process that is told to stop finishes what it began; an exchange that asks for rest gets it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from time import monotonic, sleep

import psycopg

from local import world
from local.processes import Child
from local.world import Options, World
from tests.people import People


def another(place: World, name: str) -> World:
    """The world with an execute of its own."""
    environ = world.environment("execute", place.stack, place.exchange_url, None, Options())
    address = world.start_function("execute", place.stack.folder, environ, name=name)
    return replace(place, functions={**place.functions, "execute": address})


def test_sigterm_in_the_middle_of_an_order_loses_nothing(
    place: World, database: psycopg.Connection, exchange_fails: Callable[..., None]
) -> None:
    """The order is on its way when the process is told to stop: it is answered, recorded, and there once."""
    with People(another(place, "execute-stopped"), database) as people, ThreadPoolExecutor(1) as pool:
        owner = people.owner()
        proposal = people.proposal(owner)
        exchange_fails("delay_answer", "POST /order", delay_ms=3000)
        approval = pool.submit(people.approve, owner, proposal)
        wait_until(lambda: len(people.orders(proposal)) == 1)
        child = Child.from_pid_file(place.stack.folder / "execute-stopped.pid")
        assert child is not None
        os.kill(child.process.pid, signal.SIGTERM)
        answer = approval.result()
        assert (answer.status, answer.body["execution"]["status"]) == (200, "FILLED")
        assert answer.body["recorded"] is True
        assert len(people.orders(proposal)) == 1
        wait_until(lambda: not child.alive)


def test_an_exchange_that_bans_is_left_alone(
    place: World, database: psycopg.Connection, exchange_fails: Callable[..., None]
) -> None:
    """After a 429 the next approval is BUSY, before anything is asked of the exchange or claimed."""
    with People(another(place, "execute-resting"), database) as people:
        owner = people.owner()
        first, second = people.proposal(owner), people.proposal(owner)
        exchange_fails("storm", "GET /ticker/book")
        assert people.approve(owner, first).status == 422
        answer = people.approve(owner, second)
        assert (answer.status, answer.body["code"]) == (503, "BUSY")
        assert people.orders(first) == people.orders(second) == []


def wait_until(true: Callable[[], bool]) -> None:
    deadline = monotonic() + 10
    while not true():
        assert monotonic() < deadline
        sleep(0.05)
