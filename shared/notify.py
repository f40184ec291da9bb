"""One short message to a person, for what should not wait until somebody looks."""

from __future__ import annotations

import httpx

from shared.events import Event
from shared.log import log

_TIMEOUT_S = 2.0


def notify(url: str | None, text: str) -> None:
    """POST `{"text": text}` to `url`, the form that chat webhooks read; without a URL do nothing.

    One attempt of at most 2 s a step. A failure is logged and never raised, and the URL is in no log line:
    whoever knows a webhook's address can write to it.
    """
    if url is None:
        return
    try:
        answer = httpx.post(
            url, json={"text": text}, timeout=_TIMEOUT_S, follow_redirects=False, trust_env=False
        )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        log(Event.NOTIFY_FAILED, reason=type(error).__name__)
        return
    if not answer.is_success:
        log(Event.NOTIFY_FAILED, reason=f"HTTP {answer.status_code}")
