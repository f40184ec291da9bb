"""What the database is asked and told, and what it answers, validated.

An answer that cannot be read is as good as none: it raises `DatabaseUnavailable`, and asking again is safe.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal, Self, TypeVar
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from functions.execute.checks import Verdict, Word
from functions.execute.order import Side, Wish
from functions.execute.outcome import NotSent, Outcome, Placed, Rejected, Unknown
from functions.execute.request import Approval
from shared.bitvavo import Answer
from shared.database import Database
from shared.environment import TradingMode
from shared.errors import (
    DatabaseRefused,
    DatabaseUnavailable,
    ExchangeUnreadable,
    NotAnOwner,
    ProposalNotFound,
)
from shared.money import parse_decimal
from shared.policy import TradingPolicy

_LONGEST_EVIDENCE = 4000

Positive = Annotated[Decimal, BeforeValidator(parse_decimal), Field(gt=0)]
Model = TypeVar("Model", bound=BaseModel)


class _Row(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Proposal(_Row):
    market: str
    side: Side
    order_type: Literal["market", "limit"]
    amount: Positive | None
    amount_quote: Positive | None
    limit_price: Positive | None
    reference_price: Positive

    @model_validator(mode="after")
    def says_one_thing(self) -> Self:
        """A buy carries EUR alone, a sell an amount alone, a limit order alone a limit price."""
        buys = self.amount_quote is not None and self.amount is None
        sells = self.amount is not None and self.amount_quote is None
        if not (buys if self.side == "buy" else sells):
            raise ValueError("a buy carries amount_quote alone, a sell amount alone")
        if (self.limit_price is not None) != (self.order_type == "limit"):
            raise ValueError("a limit order alone carries a limit price")
        return self


class Request(_Row):
    """The order that was claimed: the exact text of its body."""

    body: str


class Execution(_Row):
    """An execution. `row` is all of its columns as they came, numbers as text, for the answer."""

    id: UUID
    attempt_id: UUID
    status: str
    mode: TradingMode
    market: str
    side: Side
    request: Request
    access_timestamp: int
    access_window_ms: int
    row: dict[str, Any]

    @model_validator(mode="before")
    @classmethod
    def keep_the_row(cls, value: Any) -> Any:
        """Keep what came beside what is read of it."""
        return {**value, "row": dict(value)} if isinstance(value, Mapping) else value


class _Verdict(_Row):
    check: str
    verdict: Word
    code: str | None
    facts: dict[str, Any]


class _Begun(_Row):
    proposal: dict[str, Any]
    execution: Execution | None
    execution_id: UUID
    policy: dict[str, Any] | None
    policy_hash: str | None
    checks: list[_Verdict]


class _Claimed(_Row):
    outcome: Literal["claimed", "exists", "refused", "busy"]
    execution: Execution | None
    checks: list[_Verdict]

    @model_validator(mode="after")
    def names_its_execution(self) -> Self:
        """What is claimed or exists has an execution."""
        if (self.outcome in ("claimed", "exists")) != (self.execution is not None):
            raise ValueError("an execution is there exactly when it is claimed or exists")
        return self


class _Recorded(_Row):
    outcome: Literal["recorded", "unchanged", "contradicted", "refused"]
    execution: Execution


@dataclass(frozen=True, slots=True)
class Account:
    """How and where this function trades. Operator id and key fingerprint are there for live trading."""

    mode: TradingMode
    operator_id: int | None
    trade_key_fingerprint: str | None
    exchange_url: str


@dataclass(frozen=True, slots=True)
class Begun:
    """What is stored about a proposal, and the verdicts of the checks that need no market."""

    execution: Execution | None
    execution_id: UUID
    policy_hash: str | None
    checks: tuple[Verdict, ...]
    _proposal: Mapping[str, Any]
    _policy: Mapping[str, Any] | None

    def wish(self) -> Wish:
        """What the owner approved. Raises `DatabaseUnavailable` when it cannot be read."""
        proposal = _read(_Proposal, self._proposal)
        return Wish(
            proposal.market,
            proposal.side,
            proposal.amount,
            proposal.amount_quote,
            proposal.limit_price,
            proposal.reference_price,
        )

    def policy(self) -> TradingPolicy:
        """The policy that judges. Raises `DatabaseUnavailable` when there is none that can be read."""
        return _read(TradingPolicy, self._policy)


@dataclass(frozen=True, slots=True)
class Claim:
    """What is asked of the claim beside the approval itself."""

    attempt_id: UUID
    policy_hash: str | None
    access_timestamp_ms: int
    access_window_ms: int
    order_value: Decimal | None
    body: bytes | None
    market_checks: tuple[Verdict, ...]


@dataclass(frozen=True, slots=True)
class Claimed:
    """What became of a claim. `claimed` and `exists` come with the execution."""

    outcome: Literal["claimed", "exists", "refused", "busy"]
    execution: Execution | None
    checks: tuple[Verdict, ...]


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of a record, and the execution as it now stands."""

    outcome: Literal["recorded", "unchanged", "contradicted", "refused"]
    execution: Execution


class Records:
    """The database as execute knows it: begin, claim, record, status.

    Every method raises `DatabaseUnavailable` when nothing is known and `DatabaseRefused` when the database
    refused what it was handed.
    """

    def __init__(self, database: Database, account: Account) -> None:
        self._database = database
        self._account = account

    def begin(self, user_id: UUID, approval: Approval) -> Begun | None:
        """Read the proposal; None when this owner's approvals come too fast.

        Raises `NotAnOwner`, or `ProposalNotFound` for another user's, too.
        """
        answer = self._of_owner("begin_execution", user_id, **self._asked(approval))
        if answer == {"outcome": "busy"}:
            return None
        begun = _read(_Begun, answer)
        return Begun(
            begun.execution,
            begun.execution_id,
            begun.policy_hash,
            _verdicts(begun.checks),
            begun.proposal,
            begun.policy,
        )

    def claim(self, user_id: UUID, approval: Approval, claim: Claim) -> Claimed:
        """Claim the proposal's one execution. The identical call may be repeated."""
        answer = self._of_owner(
            "claim_execution",
            user_id,
            **self._asked(approval),
            p_attempt_id=claim.attempt_id,
            p_exchange_url=self._account.exchange_url,
            p_policy_hash=claim.policy_hash,
            p_access_timestamp=claim.access_timestamp_ms,
            p_access_window_ms=claim.access_window_ms,
            p_order_value=claim.order_value,
            p_request_body=None if claim.body is None else claim.body.decode("ascii"),
            p_market_checks=[verdict.as_json() for verdict in claim.market_checks],
        )
        claimed = _read(_Claimed, answer)
        return Claimed(claimed.outcome, claimed.execution, _verdicts(claimed.checks))

    def record(self, execution: Execution, outcome: Outcome) -> Recorded:
        """Store what became of an order. Harmless to repeat."""
        answer = self._database.call(
            "record_execution_result",
            p_execution_id=execution.id,
            p_actor="execute",
            p_attempt_id=execution.attempt_id,
            **_told(outcome),
        )
        recorded = _read(_Recorded, answer)
        return Recorded(recorded.outcome, recorded.execution)

    def status(self, user_id: UUID) -> Mapping[str, Any]:
        """An owner's trading at a glance, and at which exchange. Raises `NotAnOwner` too."""
        answer = self._of_owner("get_execution_status", user_id)
        if not isinstance(answer, dict):
            raise DatabaseUnavailable("The database's answer cannot be read as a status.")
        return {**answer, "exchange_url": self._account.exchange_url}

    def _asked(self, approval: Approval) -> dict[str, object]:
        return {
            "p_proposal_id": approval.proposal_id,
            "p_mode": self._account.mode,
            "p_operator_id": self._account.operator_id,
            "p_trade_key_fingerprint": self._account.trade_key_fingerprint,
            "p_override_cooldown": approval.override_cooldown,
            "p_override_anti_flip": approval.override_anti_flip,
        }

    def _of_owner(self, rpc: str, user_id: UUID, **params: object) -> Any:
        try:
            return self._database.call(rpc, p_user_id=user_id, **params)
        except DatabaseRefused as refused:
            if refused.code == "PT403":
                raise NotAnOwner() from None
            if refused.code == "PT404":
                raise ProposalNotFound() from None
            raise


def _told(outcome: Outcome) -> dict[str, object]:
    """An outcome as `record_execution_result` takes it."""
    match outcome:
        case Placed(order, answer):
            status = "200" if answer is None else str(answer.status)
            response = {"http_status": status, "body": order.raw}
            return {
                "p_outcome": "placed",
                "p_order": order.raw,
                "p_response": response,
                "p_error_code": None,
            }
        case Rejected(error_code, _, answer):
            return {
                "p_outcome": "rejected",
                "p_order": None,
                "p_response": _evidence(answer),
                "p_error_code": str(error_code),
            }
        case NotSent(reason):
            return {"p_outcome": "not_placed", "p_order": None, "p_response": None, "p_error_code": reason}
        case Unknown(reason, answer):
            return {
                "p_outcome": "unknown",
                "p_order": None,
                "p_response": _evidence(answer),
                "p_error_code": reason,
            }


def _evidence(answer: Answer | None) -> dict[str, object] | None:
    """An answer as it is kept: its JSON value when it has one, else the beginning of its text."""
    if answer is None:
        return None
    text = answer.body[:_LONGEST_EVIDENCE].decode("utf-8", "replace")
    try:
        body = answer.json() if len(answer.body) <= _LONGEST_EVIDENCE else text
    except ExchangeUnreadable:
        body = text
    return {"http_status": str(answer.status), "body": body}


def _verdicts(rows: list[_Verdict]) -> tuple[Verdict, ...]:
    return tuple(Verdict(row.check, row.verdict, row.code, row.facts) for row in rows)


def _read(model: type[Model], value: object) -> Model:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise DatabaseUnavailable(
            f"The database's answer cannot be read: {where} ({first['type']})."
        ) from None
