"""One scan of one job, from its markets to its end: read, reserve, ask, decide, finish.

Whatever happens on the way becomes a verdict, and the verdict becomes one call of `finish_scan`, which
settles the model calls, stores the proposal and sets the next run in one transaction. A job whose lease was
lost meanwhile is somebody else's: its tokens are settled, nothing else is done.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, Protocol
from uuid import UUID, uuid4

from pydantic import BaseModel, ConfigDict, ValidationError

from functions.scan_tick.answer import FINAL, BadAnswer, Completion, Hold, Tokens, Trade, read_decision
from functions.scan_tick.market import OUTAGES, MarketFacts, Trouble, Unusable, most_traded, too_wide
from functions.scan_tick.model import Model, NotAnswered, NotAsked
from functions.scan_tick.question import MOST_MARKETS, Question, ask_about, snapshot
from functions.scan_tick.reader import MarketReader
from functions.scan_tick.sizing import NotProposed, proposal_row, size
from shared.errors import DatabaseRefused, DatabaseUnavailable
from shared.events import Event
from shared.log import log
from shared.money import plain
from shared.notify import notify
from shared.policy import TradingPolicy, parse_policy

LEASE_S = 120.0
"""How long a claimed job is held, on the database's clock; counted here from before the claim was sent."""

FINISH_RESERVE_S = 25.0
"""Of the lease, kept for `finish_scan` and its repetition: two time-outs of the database and some."""

MODEL_TIMEOUT_S = 45.0
LEAST_MODEL_TIMEOUT_S = 5.0
FINISH_ATTEMPTS = 3
RESERVE_ATTEMPTS = 2
LONGEST_REASON = 300

ASK, ASK_AGAIN = "scan_proposal", "scan_proposal_again"

Outcome = Literal["proposed", "held", "failed", "budget_exhausted", "outage"]
Ending = Literal[Outcome, "policy_changed", "lease_lost", "unfinished"]


class Rpc(Protocol):
    """The database as a scan sees it."""

    def call(self, rpc: str, **params: object) -> Any:
        """See `shared.database.Database.call`."""


class ClaimedJob(BaseModel):
    """One row of what `claim_due_scan_jobs` answers."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: UUID
    lock_token: UUID
    policy: Any
    policy_hash: str | None


@dataclass(frozen=True)
class Outside:
    """Everything beyond this process that a scan touches, and the clocks. `monotonic` is in seconds."""

    database: Rpc
    model: Model
    now: Callable[[], datetime]
    monotonic: Callable[[], float]
    sleep: Callable[[float], None]
    notify_url: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Usage:
    """How one reserved model call ended. RELEASED calls count against no budget."""

    id: UUID
    status: Literal["SUCCEEDED", "FAILED", "RELEASED"]
    reason: str | None
    tokens: Tokens

    def row(self, model: str, verdict: "Verdict") -> dict[str, object]:
        """The entry of `finish_scan`'s `p_usage`; a call that succeeded says what came of its answer."""
        reason = verdict.reason if self.status == "SUCCEEDED" else self.reason
        return {
            "id": str(self.id),
            "status": self.status,
            "reason": None if reason is None else reason[:LONGEST_REASON],
            "model": model,
            "prompt_tokens": None if self.tokens.prompt is None else str(self.tokens.prompt),
            "completion_tokens": None if self.tokens.completion is None else str(self.tokens.completion),
        }


@dataclass(frozen=True)
class Verdict:
    """What `finish_scan` is told beside the usage. Only `proposed` has a proposal."""

    outcome: Outcome
    reason: str | None = None
    proposal: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Result:
    """How a job ended, for the summary. `calls` are the model calls that were reserved for it."""

    job_id: UUID
    ending: Ending
    reason: str | None
    proposal_id: UUID | None
    calls: int


class LeaseLostError(Exception):
    """The job is no longer ours to finish."""


def scan(job: ClaimedJob, claimed_at: float, markets: MarketReader, outside: Outside) -> Result:
    """Run one claimed job to its end. Raises nothing: one job's failure is that job's result.

    `claimed_at` is the monotonic second just before the claim was sent.
    """
    work_until = claimed_at + LEASE_S - FINISH_RESERVE_S
    usage: list[Usage] = []
    try:
        try:
            verdict = _decide(job, work_until, markets, outside, usage)
        except LeaseLostError:
            log(Event.SCAN_LEASE_LOST, job_id=job.id)
            return Result(job.id, "lease_lost", "the lease was lost before the model was asked", None, 0)
        except Exception as error:  # noqa: BLE001 - no job may take the others down with it
            log(Event.SCAN_JOB_BROKE, job_id=job.id, error=error)
            verdict = Verdict("failed", f"UNEXPECTED: {type(error).__name__}")
        return _finish(job, claimed_at + LEASE_S, verdict, usage, outside)
    except Exception as error:  # noqa: BLE001 - as above; the lease runs out and the job is claimed anew
        log(Event.SCAN_JOB_BROKE, job_id=job.id, error=error)
        return Result(job.id, "unfinished", f"UNEXPECTED: {type(error).__name__}", None, len(usage))


def _decide(
    job: ClaimedJob, work_until: float, markets: MarketReader, outside: Outside, usage: list[Usage]
) -> Verdict:
    try:
        policy = parse_policy(job.policy)
    except ValidationError:
        return Verdict("failed", "POLICY_INVALID: the stored policy cannot be read")
    if not policy.allowlist:
        return Verdict("held", "ALLOWLIST_EMPTY: nothing may trade")
    facts, unusable = _look(policy, markets, work_until)
    if not facts:
        return _nothing_to_ask_about(unusable)
    question = ask_about(facts, policy, outside.model.name)
    decision = _ask(job, question, work_until, outside, usage)
    if isinstance(decision, Verdict):
        return decision
    if isinstance(decision, Hold):
        return Verdict("held", f"HOLD: {decision.rationale}")
    about = next(each for each in facts if each.market == decision.market)
    sized = size(decision, about, policy)
    if isinstance(sized, NotProposed):
        return Verdict("held", str(sized))
    return Verdict(
        "proposed",
        proposal=proposal_row(
            uuid4(),
            sized,
            model=outside.model.name,
            prompt_version=question.prompt_version,
            input_hash=question.input_hash,
            market_snapshot=snapshot(facts, unusable),
        ),
    )


def _look(
    policy: TradingPolicy, markets: MarketReader, work_until: float
) -> tuple[list[MarketFacts], list[Unusable]]:
    """The markets that this owner can be asked about, and the others with their reasons."""
    seen = markets.read(policy.allowlist, work_until - LEAST_MODEL_TIMEOUT_S)
    judged = [
        (too_wide(each, policy.max_spread_percent) or each) if isinstance(each, MarketFacts) else each
        for each in seen
    ]
    facts, left_out = most_traded([each for each in judged if isinstance(each, MarketFacts)], MOST_MARKETS)
    return facts, [each for each in judged if isinstance(each, Unusable)] + left_out


def _nothing_to_ask_about(unusable: list[Unusable]) -> Verdict:
    """An outage is nobody's fault, a market that does not exist is the policy's, the rest passes."""
    reason = "; ".join(f"{each.trouble}: {each.market} {each.sentence}" for each in unusable)
    troubles = {each.trouble for each in unusable}
    if troubles & OUTAGES:
        return Verdict("outage", reason)
    if troubles <= {Trouble.UNKNOWN_MARKET, Trouble.QUOTE_NOT_EUR}:
        return Verdict("failed", reason)
    return Verdict("held", reason)


def _ask(
    job: ClaimedJob, question: Question, work_until: float, outside: Outside, usage: list[Usage]
) -> Hold | Trade | Verdict:
    """The model's decision, or the verdict when there is none. A refused answer is asked for once more."""
    answer = _ask_once(job, ASK, question, work_until, outside, usage)
    if isinstance(answer, BadAnswer) and answer.reason not in FINAL:
        again = question.asked_again(answer.reason)
        second = _ask_once(job, ASK_AGAIN, again, work_until, outside, usage)
        if not isinstance(second, Verdict) or second.outcome == "failed":
            answer = second
    return Verdict("failed", str(answer)) if isinstance(answer, BadAnswer) else answer


def _ask_once(
    job: ClaimedJob,
    purpose: str,
    question: Question,
    work_until: float,
    outside: Outside,
    usage: list[Usage],
) -> Hold | Trade | BadAnswer | Verdict:
    """One call, reserved before and entered in `usage` whatever becomes of it."""
    reservation = uuid4()
    if refused := _reserve(job, reservation, purpose, outside):
        return refused
    charged: Literal["SUCCEEDED", "FAILED", "RELEASED"] = "FAILED"
    reason: str | None = "UNEXPECTED"
    tokens = Tokens()
    try:
        timeout_s = min(MODEL_TIMEOUT_S, (work_until - outside.monotonic()) / 2)
        if timeout_s < LEAST_MODEL_TIMEOUT_S:
            charged, reason = "RELEASED", "OUT_OF_TIME"
            return Verdict("outage", "OUT_OF_TIME: too little of the lease was left to ask the model")
        answer = outside.model.ask(question, timeout_s)
        if isinstance(answer, NotAsked):
            log(Event.MODEL_OUTAGE, job_id=job.id, reason=answer.reason)
            charged, reason = "RELEASED", answer.reason
            return Verdict("outage", answer.reason)
        if isinstance(answer, NotAnswered):
            log(Event.MODEL_CALL_FAILED, job_id=job.id, reason=answer.reason)
            reason = answer.reason
            return Verdict("failed", answer.reason)
        tokens = answer.tokens
        decision = _read(answer, question)
        if isinstance(decision, BadAnswer):
            log(Event.MODEL_ANSWER_REFUSED, job_id=job.id, reason=decision.reason)
            reason = str(decision)
        else:
            charged, reason = "SUCCEEDED", None
        return decision
    finally:
        usage.append(Usage(reservation, charged, reason, tokens))


def _read(completion: Completion, question: Question) -> Hold | Trade | BadAnswer:
    if isinstance(completion.content, BadAnswer):
        return completion.content
    return read_decision(completion.content, question.markets)


def _reserve(job: ClaimedJob, reservation: UUID, purpose: str, outside: Outside) -> Verdict | None:
    """Reserve one call, or say why none may be made. Without an answer none is: the budget fails closed.

    Raises LeaseLostError when the job is no longer ours.
    """
    for attempt in range(1, RESERVE_ATTEMPTS + 1):
        try:
            answer = outside.database.call(
                "reserve_gpt_call",
                p_reservation_id=reservation,
                p_scan_job_id=job.id,
                p_lock_token=job.lock_token,
                p_purpose=purpose,
                p_model=outside.model.name,
            )
            break
        except DatabaseUnavailable as error:
            log(Event.DATABASE_UNAVAILABLE, job_id=job.id, error=error)
            if attempt == RESERVE_ATTEMPTS:
                return Verdict("outage", "DATABASE_UNAVAILABLE: no call could be reserved")
    match answer["outcome"]:
        case "reserved":
            return None
        case "refused":
            log(Event.SCAN_BUDGET_EXHAUSTED, job_id=job.id, reason=answer["reason"])
            return Verdict("budget_exhausted", answer["reason"])
        case "lease_lost" if purpose == ASK:
            raise LeaseLostError
        case _:
            return Verdict("outage", "LEASE_LOST: no second call was made")


def _finish(
    job: ClaimedJob, lease_until: float, verdict: Verdict, usage: list[Usage], outside: Outside
) -> Result:
    """Tell the database, the same thing again when its answer was lost, until the lease is over."""
    try:
        answer = _finish_call(job, lease_until, verdict, usage, outside)
    except DatabaseRefused as error:
        log(Event.DATABASE_REFUSED, job_id=job.id, error=error)
        if verdict.proposal is None:
            return _ended(job, "unfinished", f"DATABASE_REFUSED: {error.code}", None, usage)
        verdict = Verdict("failed", f"PROPOSAL_REFUSED: the database refused the proposal with {error.code}")
        return _finish(job, lease_until, verdict, usage, outside)
    except DatabaseUnavailable as error:
        log(Event.SCAN_NOT_FINISHED, job_id=job.id, error=error)
        return _ended(job, "unfinished", "DATABASE_UNAVAILABLE: the lease runs out", None, usage)
    match answer["outcome"]:
        case "lease_lost" | "policy_changed" as ending:
            return _ended(job, ending, verdict.reason, None, usage)
        case _:
            proposal = answer.get("proposal")
            if proposal is None or verdict.proposal is None:
                return _ended(job, verdict.outcome, verdict.reason, None, usage)
            _announce(proposal, outside)
            return _ended(job, verdict.outcome, verdict.reason, UUID(proposal["id"]), usage)


def _finish_call(
    job: ClaimedJob, lease_until: float, verdict: Verdict, usage: list[Usage], outside: Outside
) -> Any:
    attempt = 1
    while True:
        try:
            return outside.database.call(
                "finish_scan",
                p_scan_job_id=job.id,
                p_lock_token=job.lock_token,
                p_outcome=verdict.outcome,
                p_reason=None if verdict.reason is None else verdict.reason[:LONGEST_REASON],
                p_usage=[each.row(outside.model.name, verdict) for each in usage],
                p_proposal=verdict.proposal,
                p_policy_hash=job.policy_hash,
            )
        except DatabaseUnavailable:
            if attempt == FINISH_ATTEMPTS or outside.monotonic() >= lease_until:
                raise
            outside.sleep(attempt / 2)
            attempt += 1


def _announce(proposal: Mapping[str, Any], outside: Outside) -> None:
    size_of_it = f"{proposal['amount_quote']} EUR" if proposal["side"] == "buy" else str(proposal["amount"])
    notify(
        outside.notify_url,
        f"Interlock proposes to {proposal['side']} {proposal['market']}, {size_of_it}, with confidence "
        f"{plain(Decimal(proposal['confidence']))}. Until {proposal['expires_at']}: "
        f"./interlock approve {proposal['id']}",
    )


def _ended(
    job: ClaimedJob, ending: Ending, reason: str | None, proposal_id: UUID | None, usage: list[Usage]
) -> Result:
    event = Event.SCAN_LEASE_LOST if ending == "lease_lost" else Event.SCAN_JOB_FINISHED
    log(event, job_id=job.id, ending=ending, reason=reason, proposal_id=proposal_id, calls=len(usage))
    return Result(job.id, ending, reason, proposal_id, len(usage))
