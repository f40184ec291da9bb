"""What was asked: path, method, content, and the strict body of an approval."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Annotated, Any, NoReturn
from uuid import UUID

from flask import Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel
from werkzeug.exceptions import HTTPException

from shared.errors import BodyTooLarge, InvalidRequest, MethodNotAllowed, NotFound, UnsupportedMediaType

LARGEST_BODY = 16 * 1024
"""Bytes of a request's body."""


class Action(Enum):
    """What a request asks for."""

    APPROVE = "approve"
    STATUS = "status"
    HEALTH = "health"
    PREFLIGHT = "preflight"


ROUTES: Mapping[str, tuple[str, Action]] = MappingProxyType(
    {
        "/": ("POST", Action.APPROVE),
        "/api/trading/execute": ("POST", Action.APPROVE),
        "/status": ("GET", Action.STATUS),
        "/api/trading/status": ("GET", Action.STATUS),
        "/health": ("GET", Action.HEALTH),
    }
)


@dataclass(frozen=True, slots=True)
class Approval:
    """An owner's wish to execute one proposal, and which two checks the owner overrides."""

    proposal_id: UUID
    override_cooldown: bool
    override_anti_flip: bool


def route(method: str, path: str) -> Action:
    """Which action a method and path name. Raises `NotFound` or `MethodNotAllowed`."""
    if path not in ROUTES:
        raise NotFound()
    served, action = ROUTES[path]
    if method == "OPTIONS":
        return Action.PREFLIGHT
    if method != served:
        raise MethodNotAllowed(served, "OPTIONS")
    return action


def read_body(request: Request) -> bytes:
    """The body of an approval, read no further than it may go.

    Raises `UnsupportedMediaType` or `BodyTooLarge`, before anything is known of who asks, and
    `InvalidRequest` when the body breaks off.
    """
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    if request.mimetype != "application/json" or charset != "utf-8" or "Content-Encoding" in request.headers:
        raise UnsupportedMediaType()
    if (request.content_length or 0) > LARGEST_BODY:
        raise BodyTooLarge()
    try:
        body = request.stream.read(LARGEST_BODY + 1)
    except (HTTPException, OSError):
        raise InvalidRequest("The body of the request broke off.") from None
    if len(body) > LARGEST_BODY:
        raise BodyTooLarge()
    return body


def parse_approval(body: bytes) -> Approval:
    """Read the body of an approval. Raises `InvalidRequest`, which names each wrong field."""
    try:
        parsed = _ApprovalBody.model_validate(_strict_object(body))
    except ValidationError as error:
        raise InvalidRequest("The request has wrong fields.", _wrong_fields(error)) from None
    return Approval(parsed.proposal_id, parsed.override_cooldown, parsed.override_anti_flip)


_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def _uuid(value: object) -> UUID:
    if not isinstance(value, str) or not _UUID.fullmatch(value):
        raise ValueError("must be a UUID")
    return UUID(value)


class _ApprovalBody(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, alias_generator=to_camel)

    proposal_id: Annotated[UUID, BeforeValidator(_uuid)]
    override_cooldown: bool = False
    override_anti_flip: bool = False


def _strict_object(body: bytes) -> dict[str, Any]:
    """The JSON object of a body; a key that is there twice, NaN and infinity are refused."""
    try:
        value = json.loads(
            body.decode("utf-8"), object_pairs_hook=_without_repeats, parse_constant=_no_constant
        )
    except InvalidRequest:
        raise
    except (ValueError, RecursionError):
        raise InvalidRequest("The body is not JSON.") from None
    if not isinstance(value, dict):
        raise InvalidRequest("The body must be a JSON object.")
    return value


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    held: dict[str, Any] = {}
    for key, value in pairs:
        if key in held:
            raise InvalidRequest("The body has a field twice.", {key: "is there more than once"})
        held[key] = value
    return held


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_SENTENCES = MappingProxyType(
    {
        "missing": "is required",
        "extra_forbidden": "is not a known field",
        "value_error": "must be a UUID",
        "bool_type": "must be true or false",
    }
)


def _wrong_fields(error: ValidationError) -> dict[str, str]:
    wrong = error.errors(include_url=False, include_context=False, include_input=False)
    return {str(one["loc"][0]): _SENTENCES.get(one["type"], "is wrong") for one in wrong}
