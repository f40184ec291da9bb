"""pgmq, which Supabase offers: `read` with a visibility timeout, then `delete`."""

from __future__ import annotations

import sys
import time

import psycopg
from pgmq import PGMQueue
from pgmq.install import get_embedded_install_sql, install_pgmq_sql

from bench.due_jobs import JOBS

_QUEUE = "jobs"
_LEASE_S = 120
_BATCH = 100


def fill(url: str) -> None:
    """Messages that say which job is due."""
    install_pgmq_sql(get_embedded_install_sql(), dsn=url)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("select pgmq.create(%s)", (_QUEUE,))
        connection.execute(
            """
            select count(*) from pgmq.send_batch(
                %s, array(select jsonb_build_object('job', number) from generate_series(1, %s) as number)
            )
            """,
            (_QUEUE, JOBS),
        )


def one(url: str) -> None:
    """Read a message, delete it."""
    queue = _opened(url)
    while True:
        message = queue.read(_QUEUE, vt=_LEASE_S)
        if message is not None:
            queue.delete(_QUEUE, message.msg_id)


def best(url: str) -> None:
    """A hundred at once."""
    queue = _opened(url)
    while True:
        messages = queue.read_batch(_QUEUE, vt=_LEASE_S, batch_size=_BATCH)
        if messages:
            queue.delete_batch(_QUEUE, [message.msg_id for message in messages])


def late(url: str) -> None:
    """The timeout runs out, another worker reads the message, the first one deletes it."""
    queue = _opened(url)
    stalled = queue.read(_QUEUE, vt=1)
    time.sleep(1.1)
    taken_over = queue.read(_QUEUE, vt=_LEASE_S)
    if stalled.msg_id != taken_over.msg_id:
        raise RuntimeError("the message was not taken over")
    print("taken" if queue.delete(_QUEUE, stalled.msg_id) else "refused")  # noqa: T201 - the answer


def _opened(url: str) -> PGMQueue:
    return PGMQueue(conn_string=url, init_extension=False, pool_size=1)


if __name__ == "__main__":
    {"fill": fill, "one": one, "best": best, "late": late}[sys.argv[1]](sys.argv[2])
