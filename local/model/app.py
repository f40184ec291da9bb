"""The part of the OpenAI API that a scan speaks: chat completions with a JSON schema, and the list of models.

Source: https://platform.openai.com/docs/api-reference/chat (request, response and error bodies).
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from threading import Lock
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from local.model.rule import Decision, decide

MODEL = "scripted"
CHARACTERS_A_TOKEN = 4

_DATA = re.compile(r"<data>\n(.*)\n</data>", re.DOTALL)


class _RefusedError(Exception):
    def __init__(self, status: int, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.code = code


class _Calls:
    """How often the model was asked: what a budget is counted against."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.count = 0
        self.tokens = 0
        self.at_once = 0
        self.most_at_once = 0

    def begin(self) -> None:
        with self._lock:
            self.count += 1
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)

    def end(self, tokens: int) -> None:
        with self._lock:
            self.at_once -= 1
            self.tokens += tokens


def create_app(
    decision: Callable[[Mapping[str, Any]], Decision] = decide, *, delay_s: float = 0.0
) -> Starlette:
    """The server. `decision` is what it thinks, `delay_s` how long it takes to.

    `GET /_admin/calls` tells how many calls were made, their tokens, and the most at one time.
    """
    calls = _Calls()

    async def chat_completions(request: Request) -> JSONResponse:
        calls.begin()
        tokens = 0
        try:
            _require_key(request)
            asked = await _json(request)
            await asyncio.sleep(delay_s)
            answer = _complete(asked, decision, calls.count)
            tokens = answer["usage"]["total_tokens"]
            return JSONResponse(answer)
        except _RefusedError as refusal:
            return _error(refusal)
        finally:
            calls.end(tokens)

    async def models(request: Request) -> JSONResponse:
        try:
            _require_key(request)
        except _RefusedError as refusal:
            return _error(refusal)
        row = {"id": MODEL, "object": "model", "created": 0, "owned_by": "interlock"}
        return JSONResponse({"object": "list", "data": [row]})

    async def count(_request: Request) -> JSONResponse:
        return JSONResponse(
            {"calls": calls.count, "tokens": calls.tokens, "most_at_once": calls.most_at_once}
        )

    return Starlette(
        routes=[
            Route("/v1/chat/completions", chat_completions, methods=["POST"]),
            Route("/v1/models", models),
            Route("/_admin/calls", count),
        ]
    )


def _require_key(request: Request) -> None:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme != "Bearer" or not key.strip():
        raise _RefusedError(401, "invalid_api_key", "Send any API key as a bearer token.")


async def _json(request: Request) -> dict[str, Any]:
    try:
        asked = await request.json()
    except ValueError:
        asked = None
    if not isinstance(asked, dict):
        raise _RefusedError(400, "invalid_json", "The body must be a JSON object.")
    return asked


def _complete(
    asked: Mapping[str, Any], decision: Callable[[Mapping[str, Any]], Decision], number: int
) -> dict[str, Any]:
    try:
        prompt = "\n".join(message["content"] for message in asked["messages"])
        offered = asked["response_format"]["json_schema"]["schema"]["properties"]
        data = json.loads(_DATA.findall(prompt)[-1])
        decided = decision(data)
    except (KeyError, TypeError, ValueError, IndexError, InvalidOperation):
        raise _RefusedError(
            400,
            "not_a_scan",
            "The scripted model answers a scan's question alone: messages with one <data> block of numbers, "
            "and a response_format with a JSON schema.",
        ) from None
    content = _content(decided, offered)
    prompt_tokens, completion_tokens = (-(-len(text) // CHARACTERS_A_TOKEN) for text in (prompt, content))
    return {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": asked.get("model", MODEL),
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "logprobs": None,
                "message": {"role": "assistant", "content": content, "refusal": None},
            }
        ],
        "usage": {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens,
        },
    }


def _content(decided: Decision, offered: Mapping[str, Any]) -> str:
    """The decision as JSON with the fields that the schema offers, numbers spelled as they are."""
    fields = {
        "action": json.dumps(decided.action),
        "market": json.dumps(decided.market),
        "amount_eur": _number(decided.amount_eur),
        "confidence": _number(decided.confidence),
        "rationale": json.dumps(decided.rationale),
    }
    return "{" + ",".join(f'"{name}":{text}' for name, text in fields.items() if name in offered) + "}"


def _number(value: Decimal | None) -> str:
    return "null" if value is None else format(value, "f")


def _error(refusal: _RefusedError) -> JSONResponse:
    body = {"message": str(refusal), "type": "invalid_request_error", "param": None, "code": refusal.code}
    return JSONResponse({"error": body}, refusal.status)
