"""One scan of one job, from its markets to its end: look, ask, decide, finish.

Whatever happens on the way becomes a verdict, and the verdict becomes one call of `finish_scan`, which
settles the model calls, stores the proposal and sets the next run in one transaction. A job whose lease was
lost meanwhile is somebody else's: its tokens are settled, nothing else is done.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

from pydantic import ValidationError

from functions.scan_tick.answer import Hold
from functions.scan_tick.ask import LEAST_MODEL_TIMEOUT_S, ask
from functions.scan_tick.job import (
    LONGEST_REASON,
    Blocked,
    ClaimedJob,
    Ending,
    LeaseLostError,
    Outside,
    Result,
    Usage,
    Verdict,
)
from functions.scan_tick.market import OUTAGES, MarketFacts, Trouble, Unusable, most_traded, too_wide
from functions.scan_tick.question import MOST_MARKETS, ask_about, snapshot
from functions.scan_tick.reader import MarketReader
from functions.scan_tick.sizing import NotProposed, proposal_row, size
from shared.errors import DatabaseRefused, DatabaseUnavailable
from shared.events import Event
from shared.log import log
from shared.notices import proposed
from shared.notify import notify
from shared.policy import TradingPolicy, parse_policy

LEASE_S = 120.0
"""How long a claimed job is held, on the database's clock; counted here from before the claim was sent."""

FINISH_RESERVE_S = 25.0
"""Of the lease, kept for `finish_scan` and its repetition: two time-outs of the database and some."""

FINISH_ATTEMPTS = 3


def scan(job: ClaimedJob, claimed_at: float, markets: MarketReader, outside: Outside) -> Result:
    """Run one claimed job to its end. Raises nothing: one job's failure is that job's result.

    `claimed_at` is the monotonic second just before the claim was sent.
    """
    lease_until = claimed_at + LEASE_S
    usage: list[Usage] = []
    if job.lost_worker is not None:
        log(Event.LOCK_TAKEN_OVER, job_id=job.id, lost_worker=job.lost_worker)
    try:
        verdict = _verdict(job, lease_until - FINISH_RESERVE_S, markets, outside, usage)
        return _finish(job, lease_until, verdict, usage, outside)
    except LeaseLostError:
        return _ended(job, "lease_lost", "LEASE_LOST: before the model was asked", None, usage)
    except Exception as error:  # noqa: BLE001 - the lease runs out, and no job takes the others down with it
        log(Event.SCAN_JOB_BROKE, job_id=job.id, error=error)
        return Result(job.id, "unfinished", f"UNEXPECTED: {type(error).__name__}", None, len(usage))


def _verdict(
    job: ClaimedJob, work_until: float, markets: MarketReader, outside: Outside, usage: list[Usage]
) -> Verdict:
    try:
        return _decide(job, work_until, markets, outside, usage)
    except LeaseLostError:
        raise
    except Exception as error:  # noqa: BLE001 - the job fails, its calls are settled all the same
        log(Event.SCAN_JOB_BROKE, job_id=job.id, error=error)
        return Verdict("failed", f"UNEXPECTED: {type(error).__name__}")


def _decide(
    job: ClaimedJob, work_until: float, markets: MarketReader, outside: Outside, usage: list[Usage]
) -> Verdict:
    try:
        policy = parse_policy(job.policy)
    except ValidationError:
        return Verdict("failed", "POLICY_INVALID: the stored policy cannot be read")
    if not policy.allowlist:
        return Verdict("held", "ALLOWLIST_EMPTY: nothing may trade")
    facts, unusable = _look(policy, job.blocked, markets, work_until)
    if not facts:
        return _nothing_to_ask_about(unusable)
    decided = ask(job, ask_about(facts, policy, outside.model.name), work_until, outside, usage)
    if isinstance(decided, Verdict):
        return decided
    if isinstance(decided.decision, Hold):
        return Verdict("held", f"HOLD: {decided.decision.rationale}")
    about = next(each for each in facts if each.market == decided.decision.market)
    sized = size(decided.decision, about, policy)
    if isinstance(sized, NotProposed):
        return Verdict("held", str(sized))
    return Verdict(
        "proposed",
        proposal=proposal_row(
            uuid4(),
            sized,
            model=outside.model.name,
            prompt_version=decided.question.prompt_version,
            input_hash=decided.question.input_hash,
            market_snapshot=snapshot(facts, unusable),
        ),
    )


def _look(
    policy: TradingPolicy, blocked: Mapping[str, Blocked], markets: MarketReader, work_until: float
) -> tuple[list[MarketFacts], list[Unusable]]:
    """The markets that this owner can be asked about, and the others with their reasons.

    One that is blocked is not even read.
    """
    at_rest = [Unusable(market, why.code, str(why)) for market, why in blocked.items()]
    to_read = [market for market in policy.allowlist if market not in blocked]
    seen = markets.read(to_read, work_until - LEAST_MODEL_TIMEOUT_S)
    judged = [
        (too_wide(each, policy.max_spread_percent) or each) if isinstance(each, MarketFacts) else each
        for each in seen
    ]
    facts, left_out = most_traded([each for each in judged if isinstance(each, MarketFacts)], MOST_MARKETS)
    return facts, at_rest + [each for each in judged if isinstance(each, Unusable)] + left_out


def _nothing_to_ask_about(unusable: list[Unusable]) -> Verdict:
    """An outage is nobody's fault, a market that does not exist is the policy's, the rest passes."""
    reason = "; ".join(f"{each.trouble}: {each.market} {each.sentence}" for each in unusable)
    troubles = {each.trouble for each in unusable}
    if troubles & OUTAGES:
        return Verdict("outage", reason)
    if troubles <= {Trouble.UNKNOWN_MARKET, Trouble.QUOTE_NOT_EUR}:
        return Verdict("failed", reason)
    return Verdict("held", reason)


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
            notify(outside.notify_url, proposed(proposal))
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


def _ended(
    job: ClaimedJob, ending: Ending, reason: str | None, proposal_id: UUID | None, usage: list[Usage]
) -> Result:
    event = Event.SCAN_LEASE_LOST if ending == "lease_lost" else Event.SCAN_JOB_FINISHED
    log(event, job_id=job.id, ending=ending, reason=reason, proposal_id=proposal_id, calls=len(usage))
    return Result(job.id, ending, reason, proposal_id, len(usage))
