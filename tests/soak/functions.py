"""The three functions of one deployment, run in process: each run is a process that may die at any step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any
from uuid import UUID

import httpx
from pydantic import TypeAdapter

from functions.cleanup.run import run
from functions.execute.exchange import BitvavoTrade
from functions.execute.pace import Pace
from functions.execute.protocol import Trader
from functions.execute.records import Account, Records
from functions.execute.request import Approval
from functions.scan_tick.job import ClaimedJob, Outside
from functions.scan_tick.reader import MarketReader
from functions.scan_tick.scan import scan
from local.stack import OPERATOR_ID
from shared.bitvavo import BitvavoReadonly
from shared.errors import DatabaseError, NotAnOwner, ProposalNotFound
from tests.cleanup.short_way import TRADE_KEYS, asked
from tests.soak.place import Place
from tests.soak.ways import ADDRESS, Crash, DatabaseWay, ExchangeWay, ModelWay, Process
from tests.soak.weather import SET_BACK, Between

_JOBS = TypeAdapter(list[ClaimedJob])
_NO_ANSWER = "got no answer"
_REFUSED = "refused"


class AtOnce(Executor):
    """Does what it is handed at once, in the same thread; Crash passes through."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """The result, or the exception, in a future that is done."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - it belongs to whoever asks for the result
            future.set_exception(error)
        return future


@dataclass
class Functions:
    """Runs of all three. `protocol` is execute's, or a copy with a mechanism taken out."""

    place: Place
    between: Between
    protocol: ModuleType
    refused: tuple[UUID, str] | None = None
    """Whose approval was refused last, and by which codes; None when the last one was not."""
    _runs: int = 0

    @contextmanager
    def _running(self, function: str, within: Process | None) -> Iterator[tuple[Process, httpx.Client]]:
        """A process of its own, with its way to the exchange, until it ends or dies."""
        self._runs += 1
        self.place.story.tally[f"runs of {function}"] += 1
        process = Process(f"{function}-{self._runs}", depth=within.depth + 1 if within else 0)
        way = ExchangeWay(self.between, process)
        try:
            with httpx.Client(transport=way, trust_env=False) as http:
                yield process, http
        except Crash as crash:
            if crash.args != (process.name,):
                raise

    def approve(
        self, owner: UUID, proposal: UUID, overrides: tuple[bool, bool], within: Process | None = None
    ) -> None:
        """An owner approves a proposal: execute, from the first read to the last record."""
        story = self.place.story
        with self._running("execute", within) as (process, http):
            process.asked = proposal
            story.tell(process.name, f"{story.named(owner)} approves {story.named(proposal)}")
            try:
                result = self.protocol.execute(
                    self._trader(process, http), owner, Approval(proposal, *overrides)
                )
            except (NotAnOwner, ProposalNotFound, DatabaseError) as error:
                story.tell(process.name, f"answers {type(error).__name__}")
                return
            said = _said(result)
            self.refused = (owner, said) if said.startswith(_REFUSED) else None
            story.tell(process.name, f"answers {said}")

    def _trader(self, process: Process, http: httpx.Client) -> Trader:
        clocks = self.place.clocks
        monotonic, function_ms = clocks.monotonic, clocks.function_ms
        account = Account("live", OPERATOR_ID, TRADE_KEYS.fingerprint, ADDRESS)
        return Trader(
            records=Records(DatabaseWay(self.between, process), account),
            market_data=BitvavoReadonly(http, ADDRESS, None, function_ms, monotonic=monotonic),
            trade=BitvavoTrade(http, ADDRESS, TRADE_KEYS, OPERATOR_ID, monotonic=monotonic),
            side_by_side=AtOnce(),
            operator_id=OPERATOR_ID,
            access_window_ms=self.place.random.choice((3000, 5000, 10_000)),
            pace=Pace(monotonic),
            now_ms=function_ms,
            monotonic=monotonic,
            sleep=clocks.advance,
            notify=lambda _: None,
        )

    def clean_up(self, within: Process | None = None) -> list[str]:
        """The scheduler runs cleanup; what a person was told."""
        alarms: list[str] = []
        with self._running("cleanup", within) as (process, http):
            summary = run(
                DatabaseWay(self.between, process),
                asked(http, ADDRESS, TRADE_KEYS, self.place.clocks),
                mode="live",
                instance=process.name,
                sleep=self.place.clocks.advance,
            )
            alarms = summary.alarms
            for problem in summary.problems:
                if _NO_ANSWER not in problem and SET_BACK not in problem:
                    self.place.journal.violated(f"{process.name} had a problem: {problem}")
            self.place.story.tell(process.name, self.place.story.readable(summary.sentence()))
        return alarms

    def tick(self, within: Process | None = None, *, by_chance: bool = True) -> None:
        """The scheduler runs scan_tick, of which one job goes after the other.

        By chance jobs are due or not; else those are whose time has come.
        """
        clocks = self.place.clocks
        if by_chance:
            self._make_jobs_due()
        with self._running("scan_tick", within) as (process, http):
            outside = Outside(
                database=DatabaseWay(self.between, process),
                model=ModelWay(self.between, process),
                now=self._now,
                monotonic=clocks.monotonic,
                sleep=clocks.advance,
            )
            exchange = BitvavoReadonly(http, ADDRESS, None, clocks.function_ms, monotonic=clocks.monotonic)
            reader = MarketReader(exchange, AtOnce(), self._now, clocks.monotonic)
            claimed_at = clocks.monotonic()
            try:
                jobs = outside.database.call("claim_due_scan_jobs", p_instance_id=process.name, p_limit=25)
            except DatabaseError:
                return
            for job in _JOBS.validate_python(jobs):
                result = scan(job, claimed_at, reader, outside)
                self.place.story.tell(process.name, f"a scan ends {result.ending}")
                if result.reason is not None and result.reason.startswith("UNEXPECTED"):
                    self.place.journal.violated(f"{process.name}: {result.reason}")

    def _make_jobs_due(self) -> None:
        """Which jobs are due is the seed's choice: the wait between runs has a part that no seed repeats."""
        now = self.place.clocks.database_time()
        for number, owner in enumerate(self.place.journal.policies):
            due = self.place.random.random() < 0.6
            at = now - timedelta(milliseconds=100 - number) if due else now + timedelta(days=2)
            self.place.db.do(
                "update public.scan_jobs set next_run_at = %s where user_id = %s and locked_at is null",
                at,
                owner,
            )

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self.place.clocks.function_ms() / 1000, UTC)


def _said(result: Any) -> str:
    """The result of execute in a few words. Its classes are those of a module that may be a copy."""
    match type(result).__name__:
        case "Settled":
            return f"{result.execution.status}{'' if result.recorded else ', not recorded'}"
        case "ChecksFailed":
            return f"{_REFUSED}: {', '.join(sorted(check.code for check in result.checks if check.code))}"
        case name:
            return name
