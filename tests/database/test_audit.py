"""The audit: append-only for everybody, and a chain that shows whoever tampered with it."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from threading import Event
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests.database.acts import background, claimed, until_it_waits
from tests.database.harness import NOON, Caller, TestDatabase, order, record

_WRITERS = 32
_SEALING_RUNS = 4
_PAUSE_S = 0.05


def _events(db: TestDatabase, service: Caller, trades: int = 2) -> str:
    """Some trades and the seals over all that they left; the head of the chain."""
    for _ in range(trades):
        execution = claimed(db, service)
        record(service, execution, "placed", p_order=order(execution))
    head: str = service.call("seal_audit_events")["head"]
    return head


def _verified(caller: Caller, head: str | None = None, start: int = 1, limit: int = 10_000) -> dict[str, Any]:
    answer: dict[str, Any] = caller.call(
        "verify_audit_chain", p_from=start, p_expected_head=head, p_limit=limit
    )
    return answer


def _tamper(db: TestDatabase, table: str, *statements: str) -> None:
    """What only the owner of the schema can do: switch the triggers off, change evidence, and on again."""
    name = sql.Identifier("public", table)
    db.admin.execute(sql.SQL("alter table {} disable trigger user").format(name))
    for statement in statements:
        db.do(statement)
    db.admin.execute(sql.SQL("alter table {} enable trigger user").format(name))


@pytest.mark.parametrize("table", ["audit_events", "audit_seals"])
def test_the_audit_is_append_only_for_everybody(db: TestDatabase, service: Caller, table: str) -> None:
    """The secret key, a signed-in owner, nobody, the schema's owner: none changes or deletes a row."""
    _events(db, service)
    before = _rows(db, table)
    owner = db.owner()
    name, column = (
        sql.Identifier("public", table),
        sql.Identifier("event" if table == "audit_events" else "seal"),
    )
    changes = [
        sql.SQL("update {} set {column} = {column} where true").format(name, column=column),
        sql.SQL("delete from {} where true").format(name),
        sql.SQL("truncate {} cascade").format(name),
    ]
    for caller in (db.as_owner_of_the_schema(), service, db.as_user(owner), db.as_anon()):
        for change in changes:
            with pytest.raises((psycopg.errors.RestrictViolation, psycopg.errors.InsufficientPrivilege)):
                caller.connection.execute(change)
    for caller in (service, db.as_user(owner), db.as_anon()):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            caller.connection.execute(sql.SQL("insert into {} default values").format(name))
    assert before <= _rows(db, table)


def _rows(db: TestDatabase, table: str) -> set[str]:
    """Every row and where it lies in the table: a row that was written again would lie elsewhere."""
    name = sql.Identifier("public", table)
    found = db.admin.execute(sql.SQL("select concat_ws(' ', row.ctid, row.*) from {} as row").format(name))
    return {row for (row,) in found}


def test_every_committed_event_is_sealed_once_and_the_chain_is_whole(
    db: TestDatabase, service: Caller
) -> None:
    """Sealed in pieces or at once, twice or while more come: one seal an event, and each follows the last."""
    db.do("select interlock.write_audit('A_TEST', null, null, null, '{}') from generate_series(1, 25)")
    sealed = [service.call("seal_audit_events", p_limit=10) for _ in range(5)]

    total = db.one("select count(*) from public.audit_events")
    assert sum(int(run["sealed"]) for run in sealed) == total
    assert sealed[-1]["sealed"] == "0"
    assert db.one("select count(distinct event_id) from public.audit_seals") == total
    assert _verified(service, sealed[-1]["head"]) == {
        "whole": True,
        "error": None,
        "verified_to": str(total),
        "head": sealed[-1]["head"],
        "more": False,
    }


def test_the_chain_is_verified_in_pieces(db: TestDatabase, service: Caller) -> None:
    """Each piece joins the one before it, and says whether there is more."""
    head = _events(db, service)
    start, pieces = 1, 0
    while True:
        piece = _verified(service, start=start, limit=3)
        assert piece["whole"], piece
        start, pieces = int(piece["verified_to"]) + 1, pieces + 1
        if not piece["more"]:
            break

    assert pieces > 2
    assert piece["head"] == head


def test_an_uncommitted_event_is_sealed_once_it_commits(db: TestDatabase, service: Caller) -> None:
    """A slow transaction is passed over without a gap, waits for nobody, and its events are sealed later."""
    slow = db.as_owner_of_the_schema()
    slow.connection.execute("begin")
    slow.connection.execute("select interlock.write_audit('SLOW', null, null, null, '{}')")
    _events(db, service)
    slow.connection.execute("commit")

    assert service.call("seal_audit_events")["sealed"] == "1"
    assert _verified(service)["whole"]


def test_a_sealing_run_waits_for_the_one_before_it(db: TestDatabase, service: Caller) -> None:
    """Two runs at once would fork the chain: the second seals what the first has left, which is nothing."""
    claimed(db, service)
    waiting = db.as_service()
    service.connection.execute("begin")
    first = service.call("seal_audit_events")

    with background(partial(waiting.call, "seal_audit_events")) as sealing:
        until_it_waits(db, waiting, sealing)
        service.connection.execute("commit")
        assert sealing.result() == first | {"sealed": "0"}

    assert _verified(service, first["head"])["whole"]


TAMPERING = [
    ("audit_events", "update public.audit_events set detail = '{}' where id = %s", "was changed"),
    ("audit_events", "update public.audit_events set at = at - interval '1 s' where id = %s", "was changed"),
    ("audit_events", "update public.audit_events set actor = 'nobody' where id = %s", "was changed"),
    (
        "audit_seals",
        "update public.audit_seals set seal = repeat('0', 64) where event_id = %s",
        "was changed",
    ),
    ("audit_seals", "delete from public.audit_seals where event_id = %s", "is missing"),
    ("audit_events", "delete from public.audit_events where id = %s", "is missing"),
]


def test_tampering_with_a_sealed_event_is_found(db: TestDatabase, service: Caller) -> None:
    """Whoever owns the schema can change or remove an event or its seal, and cannot hide it."""
    _events(db, service)
    event = db.one("select event_id from public.audit_seals where sequence = 4")
    db.do("alter table public.audit_seals drop constraint audit_seals_event_id_fkey")
    for table, statement, error in TAMPERING:
        assert _verified(service)["whole"]
        with db.admin.transaction(force_rollback=True):
            _tamper(db, table, statement.replace("%s", f"'{event}'"))
            found = _verified(Caller(db.admin))

        assert found["whole"] is False, statement
        assert "seal 4" in found["error"]
        assert error in found["error"]


def test_a_cut_tail_is_found_by_the_head_that_was_logged(db: TestDatabase, service: Caller) -> None:
    """The shorter chain is whole in itself; the head in the log, another trust domain, gives it away."""
    head = _events(db, service)
    _tamper(
        db,
        "audit_seals",
        """
        create temporary table cut as select event_id from public.audit_seals where sequence > 3;
        delete from public.audit_seals where sequence > 3
        """,
    )
    _tamper(db, "audit_events", "delete from public.audit_events where id in (select event_id from cut)")

    assert _verified(service)["whole"] is True
    found = _verified(service, head)
    assert (found["whole"], "tail was cut off" in found["error"]) == (False, True)


def test_a_chain_that_was_written_anew_is_found_by_the_head_that_was_logged(
    db: TestDatabase, service: Caller
) -> None:
    """Who changes an event and seals everything again makes a whole chain with another head."""
    head = _events(db, service)
    _tamper(
        db,
        "audit_events",
        "update public.audit_events set detail = '{}' where event = 'FILL_RECORDED'",
    )
    _tamper(
        db,
        "audit_seals",
        """
        insert into interlock.unsealed_events
        select event.id, event.at
        from public.audit_seals as seal
        join public.audit_events as event on event.id = seal.event_id
        """,
        "delete from public.audit_seals",
    )
    service.call("seal_audit_events")

    assert _verified(service)["whole"] is True
    assert _verified(service, head)["whole"] is False


def test_an_event_that_nothing_waits_for_is_found(db: TestDatabase, service: Caller) -> None:
    """Slipped in with the triggers off, anywhere in time: it has no seal, and it is in no queue for one."""
    _events(db, service)
    db.advance(timedelta(minutes=1))
    _events(db, service)
    claimed(db, service)
    late = db.as_owner_of_the_schema()
    late.connection.execute("begin")
    late.connection.execute("select interlock.write_audit('SLOW', null, null, null, '{}')")
    db.advance(timedelta(minutes=1))
    _events(db, service)
    late.connection.execute("commit")
    db.advance(timedelta(minutes=1))
    _events(db, service)
    claimed(db, service)
    slipped_in = "insert into public.audit_events (at, event, actor) values ('%s', 'RESUMED', 'Ada')"
    for at in (NOON - timedelta(days=1), NOON, NOON + timedelta(seconds=90), db.now + timedelta(days=1)):
        assert _whole_in_pieces(service)
        with db.admin.transaction(force_rollback=True):
            _tamper(db, "audit_events", slipped_in % at)
            assert not _whole_in_pieces(Caller(db.admin)), at
            assert "has no seal" in str(_verified(Caller(db.admin))["error"])


def _whole_in_pieces(caller: Caller) -> bool:
    start = 1
    while (piece := _verified(caller, start=start, limit=4))["whole"] and piece["more"]:
        start = int(piece["verified_to"]) + 1
    return bool(piece["whole"])


def test_an_event_that_vanished_before_its_seal_is_found(db: TestDatabase, service: Caller) -> None:
    """The queue of what waits for a seal remembers it."""
    _events(db, service)
    claimed(db, service)

    _tamper(
        db,
        "audit_events",
        """
        delete from public.audit_events
        where event = 'EXECUTION_CLAIMED' and id in (select event_id from interlock.unsealed_events)
        """,
    )

    found = _verified(service)
    assert (found["whole"], found["error"]) == (False, "an event that waited for its seal is missing")


@pytest.mark.parametrize(
    "seconds", [2.0, pytest.param(150.0, marks=[pytest.mark.soak, pytest.mark.timeout(600)])]
)
def test_many_writers_and_sealing_runs_keep_one_chain(
    db: TestDatabase, service: Caller, seconds: float
) -> None:
    """32 writers and 4 sealing runs at once: no deadlock, every event sealed once, one whole chain."""
    ended = Event()

    def write(caller: Caller, number: int) -> int:
        written = 0
        while not ended.is_set():
            caller.connection.execute(
                """
                select interlock.write_audit('A_TEST', null, null, null, to_jsonb(%s::text))
                from generate_series(1, 3)
                """,
                (f"writer {number}",),
            )
            written += 3
            time.sleep(_PAUSE_S)
        return written

    def seal(caller: Caller) -> int:
        sealed = 0
        while not ended.is_set():
            sealed += int(caller.call("seal_audit_events", p_limit=200)["sealed"])
        return sealed

    before = db.one("select count(*) from public.audit_events")
    writers = [db.as_owner_of_the_schema() for _ in range(_WRITERS)]
    sealers = [db.as_service() for _ in range(_SEALING_RUNS)]
    with ThreadPoolExecutor(_WRITERS + _SEALING_RUNS) as pool:
        writing = [pool.submit(write, caller, number) for number, caller in enumerate(writers)]
        sealing = [pool.submit(seal, caller) for caller in sealers]
        time.sleep(seconds)
        ended.set()
        written = sum(future.result() for future in writing)
        sealed = sum(future.result() for future in sealing)
    while last := int((run := service.call("seal_audit_events", p_limit=5_000))["sealed"]):
        sealed += last

    assert sealed == before + written == int(run["sequence"])
    assert db.one("select count(*) from interlock.unsealed_events") == 0
    start = 1
    while True:
        piece = _verified(service, run["head"], start, 10_000)
        assert piece["whole"], piece
        start = int(piece["verified_to"]) + 1
        if not piece["more"]:
            break
    assert piece["verified_to"] == run["sequence"]
    _tamper(
        db,
        "audit_seals",
        "delete from public.audit_seals where sequence = (select max(sequence) from public.audit_seals)",
    )
    assert "tail was cut off" in _verified(service, run["head"], int(run["sequence"]) - 1)["error"]
