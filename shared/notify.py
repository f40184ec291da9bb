"""One short message to a person, for what should not wait until somebody looks.

`NOTIFY_URL` names a receiver, and its host says in which form it reads a message:

- `hooks.slack.com`: JSON `{"text": …}` (https://api.slack.com/messaging/webhooks);
- `api.telegram.org/bot<token>/sendMessage?chat_id=…`: JSON of the query and `text`
  (https://core.telegram.org/bots/api#sendmessage);
- any other: the text as it is under a header `Title`, as ntfy reads it (https://docs.ntfy.sh/publish/).

`#slack`, `#telegram` or `#ntfy` at the end of the address says it for a host that does not.
"""

from __future__ import annotations

import json
import threading
import unicodedata
from collections.abc import Mapping
from enum import StrEnum
from queue import Empty, SimpleQueue
from urllib.parse import SplitResult, parse_qsl, urlsplit, urlunsplit

import httpx

from shared.deadline import DeadlineTransport
from shared.events import Event
from shared.log import log

TITLE = "Interlock"
LONGEST_TEXT = 1000

_ANSWERED_WITHIN_S = 2.0
_OVER_AFTER_S = 3.0
"""Nobody waits longer, whatever holds a message up: looking a host's name up has no limit of its own."""

_JSON = {"Content-Type": "application/json"}
_SLACK_MARKUP = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


class Form(StrEnum):
    """How a receiver reads a message; also the fragment that asks for it."""

    NTFY = "ntfy"
    SLACK = "slack"
    TELEGRAM = "telegram"


_HOSTS: Mapping[str, Form] = {"hooks.slack.com": Form.SLACK, "api.telegram.org": Form.TELEGRAM}


def form_of(url: str) -> Form:
    """The form that an address asks for. Raises `ValueError` when it cannot be served."""
    parts = urlsplit(url)
    if parts.fragment and parts.fragment not in set(Form):
        raise ValueError(f"may end in {', '.join(f'#{form}' for form in Form)} and in no other fragment")
    form = Form(parts.fragment) if parts.fragment else _HOSTS.get(parts.hostname or "", Form.NTFY)
    if form is Form.TELEGRAM and not (parts.path.endswith("/sendMessage") and _query(parts).get("chat_id")):
        raise ValueError("must be …/bot<token>/sendMessage?chat_id=… for Telegram")
    return form


def notify(url: str | None, text: str) -> bool:
    """Send one message to `url`; is there nobody left to tell? So it is without one.

    One attempt, over after 3 s. A failure is logged and never raised. The address is in no log line, for
    whoever knows it can write to it, and neither is what it answered.
    """
    if url is None:
        return True
    results: SimpleQueue[str | None] = SimpleQueue()
    threading.Thread(target=lambda: results.put(_failure(url, text)), daemon=True).start()
    try:
        failure = results.get(timeout=_OVER_AFTER_S)
    except Empty:
        failure = "TIMED_OUT"
    if failure is not None:
        log(Event.NOTIFY_FAILED, reason=failure)
    return failure is None


def _failure(url: str, text: str) -> str | None:
    """Send once; what went wrong, or None. Of an answer only its status is read."""
    try:
        target, headers, content = _message(url, _plain(text))
        with (
            httpx.Client(
                transport=DeadlineTransport(_ANSWERED_WITHIN_S), timeout=_ANSWERED_WITHIN_S, trust_env=False
            ) as http,
            http.stream("POST", target, headers=headers, content=content, follow_redirects=False) as answer,
        ):
            return None if answer.is_success else f"HTTP {answer.status_code}"
    except Exception as error:  # noqa: BLE001 - no message is worth an error
        return type(error).__name__


def _message(url: str, text: str) -> tuple[str, dict[str, str], bytes]:
    """Where to, with which head, and what; a fragment is never sent."""
    parts = urlsplit(url)
    bare = urlunsplit(parts._replace(query="", fragment=""))
    match form_of(url):
        case Form.SLACK:
            return url, _JSON, _json({"text": f"{TITLE}: {text.translate(_SLACK_MARKUP)}"})
        case Form.TELEGRAM:
            return bare, _JSON, _json({**_query(parts), "text": f"{TITLE}: {text}"})
        case Form.NTFY:
            return url, {"Title": TITLE, "Content-Type": "text/plain; charset=utf-8"}, text.encode()


def _plain(text: str) -> str:
    """One line of bounded length, without what a screen could obey."""
    seen = "".join(sign if unicodedata.category(sign)[0] != "C" else " " for sign in text)
    return seen if len(seen) <= LONGEST_TEXT else f"{seen[: LONGEST_TEXT - 1]}…"


def _query(parts: SplitResult) -> dict[str, str]:
    return dict(parse_qsl(parts.query))


def _json(message: Mapping[str, str]) -> bytes:
    return json.dumps(message).encode()
