"""What tests do at once, and how they know that somebody waits."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier
from typing import Any, TypeVar
from uuid import UUID

from tests.database.harness import Caller, TestDatabase

Result = TypeVar("Result")
_PATIENCE_S = 10.0


def claimed(
    db: TestDatabase, caller: Caller, owner: UUID | None = None, side: str = "buy", market: str = "BTC-EUR"
) -> dict[str, Any]:
    """The execution of a fresh proposal, just claimed; of a new owner, if none is given."""
    owner = db.owner() if owner is None else owner
    answer = db.claim(caller, owner, db.proposal(owner, side=side, market=market))
    assert answer["outcome"] == "claimed", answer
    execution: dict[str, Any] = answer["execution"]
    return execution


def decided(caller: Caller, asked: dict[str, object]) -> dict[str, Any]:
    """The answer to a claim that is asked for again for as long as it is told that others are at it."""
    while True:
        answer: dict[str, Any] = caller.call("claim_execution", **asked)
        if answer["outcome"] != "busy":
            return answer


def many_due(db: TestDatabase, number: int) -> None:
    """As many owners whose scan is due, made in one statement."""
    db.do(
        """
        with person as (
            insert into auth.users (id) select gen_random_uuid() from generate_series(1, %s) returning id
        ),
        named as (insert into public.trading_owners (user_id) select id from person returning user_id),
        allowed as (
            insert into public.trading_policies (user_id, policy)
            select user_id, interlock.default_policy() from named
            returning user_id
        )
        insert into public.scan_jobs (user_id, enabled) select user_id, true from allowed
        """,
        number,
    )


def at_once(actions: Sequence[Callable[[], Result]]) -> list[Result]:
    """Do everything at the same time, each in a thread of its own; the results in order."""
    start = Barrier(len(actions))

    def act(action: Callable[[], Result]) -> Result:
        start.wait()
        return action()

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(act, actions))


@contextmanager
def background(action: Callable[[], Result]) -> Iterator[Future[Result]]:
    """Something that goes on while the block does; the block ends after it."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(action)


@contextmanager
def transaction(caller: Caller) -> Iterator[Caller]:
    """A transaction that is open during the block and commits after it."""
    with caller.connection.transaction():
        yield caller


def until_it_waits(db: TestDatabase, caller: Caller, under_way: Future[Any]) -> None:
    """Return once the caller's statement waits for a lock. Fails when it ends without having waited."""
    deadline = time.monotonic() + _PATIENCE_S
    while not db.one(
        "select exists (select from pg_catalog.pg_locks where pid = %s and not granted)",
        caller.connection.info.backend_pid,
    ):
        assert not under_way.done(), f"it waited for nobody: {under_way.exception() or under_way.result()}"
        assert time.monotonic() < deadline, "it neither ends nor waits"
        time.sleep(0.001)


def take(caller: Caller, kind: str, key: UUID | None = None, *, shared: bool = False) -> None:
    """Take an advisory lock in the caller's transaction: of a user, or the one that all share."""
    caller.connection.execute(
        f"""
        select pg_advisory_xact_lock{"_shared" if shared else ""}(
            interlock.lock_class(%s), case when %s::uuid is null then 0 else hashtext(%s::text) end
        )
        """,
        (kind, key, key),
    )


def failed_codes(answer: dict[str, Any]) -> set[str]:
    """The codes of the checks that failed."""
    return {verdict["code"] for verdict in answer["checks"] if verdict["verdict"] == "FAILED"}
