"""Why a server refused a request, by the code and the parameter that it names.

A server writes what it likes into an error: nothing of it is kept but two short plain words.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
_UNKNOWN = re.compile(
    r"un(supported|recogni[sz]ed|known|expected)|extra|not.(supported|permitted|allowed)", re.IGNORECASE
)

_NAMED = re.compile(
    r"un(?:supported|recogni[sz]ed|known|expected)[^.]{0,60}?\b([a-z]+(?:_[a-z]+)+)\b", re.IGNORECASE
)
_SHORTEST_SECRET = 8


@dataclass(frozen=True)
class Refusal:
    """The code and the parameter, each as far as the server gives one that is plain."""

    code: str | None = None
    parameter: str | None = None
    is_unknown: bool = False
    """Whether the parameter itself is what the server does not take, not its value."""

    def __str__(self) -> str:
        named = {"code": self.code, "parameter": self.parameter}
        return ", ".join(f"{name} {word}" for name, word in named.items() if word is not None)


def read_refusal(body: bytes, secret: str) -> Refusal:
    """Read the body of an answer 4xx, whatever it is. A word that holds `secret` is left out."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return Refusal()
    error = answer.get("error", answer) if isinstance(answer, dict) else None
    if not isinstance(error, dict):
        return Refusal()
    invalid = error.get("detail")
    if isinstance(invalid, list) and invalid and isinstance(invalid[0], dict):
        where, error = invalid[0].get("loc"), invalid[0]
        parameter = where[-1] if isinstance(where, list) and where else None
    else:
        parameter = error.get("param")
    code = next((error[key] for key in ("code", "type") if isinstance(error.get(key), str)), None)
    message = error.get("message", error.get("msg"))
    said = f"{code} {error.get('type')} {message if isinstance(message, str) else ''}"
    if parameter is None and isinstance(message, str):
        # Without a field for it, some name the parameter in the sentence alone.
        named = _NAMED.search(message)
        parameter = named[1] if named else None
    return Refusal(_plain(code, secret), _plain(parameter, secret), bool(_UNKNOWN.search(said)))


def _plain(word: Any, secret: str) -> str | None:
    if not isinstance(word, str) or not _WORD.fullmatch(word):
        return None
    # A key of a few letters, as local servers take any, is no secret and could be in every word.
    is_of_it = len(secret) >= _SHORTEST_SECRET and (secret in word or word in secret)
    return None if is_of_it else word
