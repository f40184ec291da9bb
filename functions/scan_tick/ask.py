"""Asking the model: reserve, ask, settle, and once more when the answer was refused.

Every call is reserved before it is made and entered with its end, whatever happens in between; what became of
it decides whether it counts, and the database keeps the books.
"""

from dataclasses import dataclass
from typing import Literal
from uuid import UUID, uuid4

from functions.scan_tick.answer import FINAL, BadAnswer, Completion, Hold, Tokens, Trade, read_decision
from functions.scan_tick.job import ClaimedJob, LeaseLostError, Outside, Usage, Verdict
from functions.scan_tick.model import CONNECT_TIMEOUT_S, MOST_COMPLETION_TOKENS, NotAnswered, NotAsked
from functions.scan_tick.question import Question
from shared.errors import DatabaseUnavailable
from shared.events import Event
from shared.log import log

LEAST_MODEL_TIMEOUT_S = 5.0
CONNECTING_S = 2 * CONNECT_TIMEOUT_S
"""What connecting may take beside the answer's own time: TCP and TLS."""

RESERVE_ATTEMPTS = 2

ASK, ASK_AGAIN = "scan_proposal", "scan_proposal_again"


@dataclass(frozen=True)
class Decided:
    """A decision, and the question that it answers."""

    decision: Hold | Trade
    question: Question


def ask(
    job: ClaimedJob, question: Question, work_until: float, outside: Outside, usage: list[Usage]
) -> Decided | Verdict:
    """The model's decision, or the verdict when there is none; every call made is added to `usage`.

    An answer that was refused is asked for once more, on a reservation of its own. No call is begun that
    could last beyond `work_until` (monotonic seconds). Raises LeaseLostError when the job is no longer ours.
    """
    answer = _ask_once(job, ASK, question, work_until, outside, usage)
    if isinstance(answer, BadAnswer) and answer.reason not in FINAL:
        again = question.asked_again(answer.reason)
        second = _ask_once(job, ASK_AGAIN, again, work_until, outside, usage)
        if not isinstance(second, Verdict) or second.outcome == "failed":
            question, answer = again, second
    if isinstance(answer, BadAnswer):
        return Verdict("failed", str(answer))
    return answer if isinstance(answer, Verdict) else Decided(answer, question)


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
    most_tokens = question.most_tokens + MOST_COMPLETION_TOKENS
    if refused := _reserve(job, reservation, purpose, most_tokens, outside, usage):
        return refused
    charged: Literal["SUCCEEDED", "FAILED", "RELEASED"] = "FAILED"
    reason: str | None = "UNEXPECTED"
    tokens = Tokens()
    try:
        left_s = work_until - outside.monotonic() - CONNECTING_S
        timeout_s = min(outside.model.timeout_s, left_s)
        if timeout_s < LEAST_MODEL_TIMEOUT_S:
            charged, reason = "RELEASED", "OUT_OF_TIME"
            return Verdict("outage", "OUT_OF_TIME: too little of the lease was left to ask the model")
        began_s = outside.monotonic()
        answer = outside.model.ask(question, timeout_s)
        duration_ms = round((outside.monotonic() - began_s) * 1000)
        if isinstance(answer, NotAsked):
            log(Event.MODEL_OUTAGE, job_id=job.id, reason=answer.reason, duration_ms=duration_ms)
            charged, reason = "RELEASED", answer.reason
            return Verdict("outage", answer.reason)
        if isinstance(answer, NotAnswered):
            log(Event.MODEL_CALL_FAILED, job_id=job.id, reason=answer.reason, duration_ms=duration_ms)
            reason = answer.reason
            return Verdict("failed", answer.reason)
        tokens = answer.tokens
        log(
            Event.MODEL_ANSWERED,
            job_id=job.id,
            prompt_tokens=tokens.prompt,
            completion_tokens=tokens.completion,
            duration_ms=duration_ms,
        )
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


def _reserve(
    job: ClaimedJob, reservation: UUID, purpose: str, most_tokens: int, outside: Outside, usage: list[Usage]
) -> Verdict | None:
    """Reserve one call, or say why none may be made. Without an answer none is: the budget fails closed.

    What may have been reserved without our hearing of it is entered in `usage`, to be released. Raises
    LeaseLostError when the job is no longer ours.
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
                p_most_tokens=most_tokens,
            )
            break
        except DatabaseUnavailable as error:
            log(Event.DATABASE_UNAVAILABLE, job_id=job.id, error=error)
            if attempt == RESERVE_ATTEMPTS:
                usage.append(Usage(reservation, "RELEASED", "DATABASE_UNAVAILABLE", Tokens()))
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
