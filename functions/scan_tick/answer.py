"""The model's answer, read strictly: a decision, or the one reason why it is none.

Pure. The schema that is sent and the validation of what comes back are one pydantic class, made for the
markets that were asked about. Whatever a server or a model puts into the answer, nothing but these five
fields, in plain notation and within bounds, gets past this module; asset, reference price, expiry, policy and
overrides are not among them. The reason passes as `rationale` lets it.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Any, Literal, NoReturn

from pydantic import BaseModel, ConfigDict, Field, ValidationError, WithJsonSchema, create_model

from functions.scan_tick.rationale import fit_to_show

LONGEST_CONTENT = 8_192
LONGEST_NUMBER = 24
MOST_TOKENS = 10_000_000
"""A call cannot have used more; a report beyond it is not believed and not stored."""


class Refused(StrEnum):
    """Why an answer is no decision. Stored as the reason of the call, which is charged all the same."""

    NOT_A_COMPLETION = "NOT_A_COMPLETION"
    NOT_ONE_CHOICE = "NOT_ONE_CHOICE"
    REFUSED_BY_MODEL = "REFUSED_BY_MODEL"
    FILTERED = "FILTERED"
    TRUNCATED = "TRUNCATED"
    NOT_FINISHED = "NOT_FINISHED"
    EMPTY = "EMPTY"
    TOO_LONG = "TOO_LONG"
    NOT_JSON = "NOT_JSON"
    NUMBER_NOT_PLAIN = "NUMBER_NOT_PLAIN"
    DUPLICATE_FIELD = "DUPLICATE_FIELD"
    UNKNOWN_FIELD = "UNKNOWN_FIELD"
    MISSING_FIELD = "MISSING_FIELD"
    WRONG_VALUE = "WRONG_VALUE"
    MARKET_NOT_ASKED = "MARKET_NOT_ASKED"
    TRADE_INCOMPLETE = "TRADE_INCOMPLETE"


FINAL = frozenset({Refused.REFUSED_BY_MODEL, Refused.FILTERED, Refused.TRUNCATED, Refused.NOT_A_COMPLETION})
"""Refusals that asking the same again would only pay for twice."""


@dataclass(frozen=True)
class BadAnswer:
    """An answer that decides nothing. The sentence quotes none of it."""

    reason: Refused
    sentence: str

    def __str__(self) -> str:
        return f"{self.reason}: {self.sentence}"


@dataclass(frozen=True)
class Hold:
    """The decision to do nothing, the usual one. Confidence is 0 to 100."""

    confidence: Decimal
    rationale: str


@dataclass(frozen=True)
class Trade:
    """The decision to propose a trade. `amount_eur` is the model's wish, not yet what policy allows."""

    side: Literal["buy", "sell"]
    market: str
    amount_eur: Decimal
    confidence: Decimal
    rationale: str


@dataclass(frozen=True)
class Tokens:
    """What a call is reported to have used; None where the report is missing or absurd."""

    prompt: int | None = None
    completion: int | None = None


@dataclass(frozen=True)
class Completion:
    """What a server answered: the tokens it reports and the content, or why there is none."""

    content: str | BadAnswer
    tokens: Tokens


Amount = Annotated[
    Decimal,
    Field(ge=0, max_digits=18, decimal_places=8),
    WithJsonSchema({"type": "number", "description": "EUR, at most two decimals"}),
]
Percentage = Annotated[
    Decimal,
    Field(ge=0, le=100, max_digits=11, decimal_places=8),
    WithJsonSchema({"type": "number", "description": "0 to 100"}),
]


class _Decision(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, title="decision")

    action: Literal["hold", "buy", "sell"]
    market: str | None
    amount_eur: Amount | None
    confidence: Percentage
    rationale: Annotated[str, Field(description="Two or three sentences of plain English.")]


class _Message(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)

    content: str | None = None
    refusal: str | None = None


class _Choice(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)

    finish_reason: str | None = None
    message: _Message


class _Body(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)

    choices: list[_Choice]


@lru_cache(maxsize=64)
def _decision_about(markets: tuple[str, ...]) -> type[_Decision]:
    one_of_them = Literal[markets]  # type: ignore[valid-type]  # made at run time
    enumeration = {"anyOf": [{"type": "string", "enum": list(markets)}, {"type": "null"}]}
    market = Annotated[one_of_them | None, WithJsonSchema(enumeration)]
    return create_model("Decision", __base__=_Decision, market=(market, ...))


def answer_schema(markets: Sequence[str]) -> dict[str, Any]:
    """The JSON schema of an answer about these markets, within the subset that strict servers accept.

    Every field is required, nothing beside them is allowed, and the markets are an enumeration.
    """
    schema = _decision_about(tuple(markets)).model_json_schema()
    for field in schema["properties"].values():
        field.pop("title", None)
    return schema


def read_completion(body: bytes) -> Completion:
    """Read a chat completion: one choice, which ended by itself and is neither refused nor filtered."""
    try:
        answer = json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return Completion(BadAnswer(Refused.NOT_A_COMPLETION, "the body is not JSON"), Tokens())
    tokens = _tokens(answer)
    try:
        choices = _Body.model_validate(answer).choices
    except ValidationError:
        return Completion(BadAnswer(Refused.NOT_A_COMPLETION, "the body is not a chat completion"), tokens)
    return Completion(_content(choices), tokens)


def read_decision(content: str, markets: Sequence[str]) -> Hold | Trade | BadAnswer:
    """Read the content of a completion as a decision about one of these markets."""
    if len(content) > LONGEST_CONTENT:
        return BadAnswer(Refused.TOO_LONG, f"longer than {LONGEST_CONTENT} characters")
    try:
        fields = json.loads(
            content,
            parse_constant=_refuse_constant,
            parse_float=_plain_number,
            parse_int=_plain_number,
            object_pairs_hook=_without_duplicates,
        )
    except _NotPlainError:
        return BadAnswer(Refused.NUMBER_NOT_PLAIN, "a number is negative, too long, or not in plain notation")
    except _DuplicateFieldError:
        return BadAnswer(Refused.DUPLICATE_FIELD, "a field is there twice")
    except (ValueError, RecursionError):
        return BadAnswer(Refused.NOT_JSON, "not one JSON object and nothing beside it")
    try:
        decision = _decision_about(tuple(markets)).model_validate(fields)
    except ValidationError as error:
        return _what_is_wrong(error)
    return _decided(decision)


_ENDS_BY_ITSELF = frozenset({"stop", "eos", "eos_token", "end_turn"})
"""The end that the protocol has a word for, and the words of servers that pass on their model's own."""


def _content(choices: Sequence[_Choice]) -> str | BadAnswer:
    if len(choices) != 1:
        return BadAnswer(Refused.NOT_ONE_CHOICE, f"{len(choices)} choices where one was asked for")
    message, finish_reason = choices[0].message, choices[0].finish_reason
    if message.refusal:
        return BadAnswer(Refused.REFUSED_BY_MODEL, "the model declined to answer")
    if finish_reason == "content_filter":
        return BadAnswer(Refused.FILTERED, "the server filtered the answer")
    if finish_reason == "length":
        return BadAnswer(Refused.TRUNCATED, "the answer was cut at the token limit")
    if finish_reason not in _ENDS_BY_ITSELF:
        return BadAnswer(Refused.NOT_FINISHED, "the answer did not end by itself")
    if not message.content or not message.content.strip():
        return BadAnswer(Refused.EMPTY, "the answer is empty")
    return message.content


def _tokens(answer: object) -> Tokens:
    usage = answer.get("usage") if isinstance(answer, dict) else None
    if not isinstance(usage, dict):
        return Tokens()
    return Tokens(_count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens")))


def _count(reported: object) -> int | None:
    is_count = isinstance(reported, int) and not isinstance(reported, bool) and 0 <= reported <= MOST_TOKENS
    return reported if is_count and isinstance(reported, int) else None


def _decided(decision: _Decision) -> Hold | Trade | BadAnswer:
    rationale = fit_to_show(decision.rationale)
    if decision.action == "hold":
        return Hold(decision.confidence, rationale)
    if decision.market is None or not decision.amount_eur:
        return BadAnswer(Refused.TRADE_INCOMPLETE, "a trade needs a market and an amount above zero")
    return Trade(decision.action, decision.market, decision.amount_eur, decision.confidence, rationale)


def _what_is_wrong(error: ValidationError) -> BadAnswer:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    if first["type"] == "extra_forbidden":
        return BadAnswer(Refused.UNKNOWN_FIELD, "a field that the schema does not have")
    where = str(first["loc"][0]) if first["loc"] else "the answer"
    if first["type"] == "missing":
        return BadAnswer(Refused.MISSING_FIELD, f"{where} is missing")
    if where == "market":
        return BadAnswer(Refused.MARKET_NOT_ASKED, "market is not one of those asked about")
    return BadAnswer(Refused.WRONG_VALUE, f"{where} has a wrong type or a value out of range")


class _NotPlainError(ValueError):
    pass


class _DuplicateFieldError(ValueError):
    pass


def _refuse_constant(_constant: str) -> NoReturn:
    raise _NotPlainError


def _plain_number(text: str) -> Decimal:
    if len(text) > LONGEST_NUMBER or not re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        raise _NotPlainError
    return Decimal(text)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise _DuplicateFieldError
    return fields
