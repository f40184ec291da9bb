"""Every error that Interlock raises on purpose.

::

    InterlockError
    ├── SettingsError              the environment does not fit; the function does not start
    ├── RequestRefused             the request itself is wrong; nothing was decided
    │   ├── NotFound                 404  no such path
    │   ├── MethodNotAllowed         405
    │   ├── UnsupportedMediaType     415
    │   ├── BodyTooLarge             413
    │   ├── Unauthorized             401
    │   ├── InvalidRequest           400  each wrong field is named
    │   ├── NotAnOwner               403
    │   └── ProposalNotFound         404  none, or another user's: nobody can tell which
    ├── KeysUnavailable            whether an access token is valid cannot be told now
    ├── DatabaseError
    │   ├── DatabaseUnavailable      nothing is known: it may or may not have happened
    │   └── DatabaseRefused          the database said no, and nothing remains
    └── ExchangeError
        ├── ExchangeNotReached       no byte was sent: not placed for certain
        ├── ExchangeUnreadable       nothing is known
        ├── ExchangeRefused          the exchange said no, with a code
        └── NotThisClientsWork       the client was asked for what it must never do

A class without a message of its own says its docstring. No message ever holds a secret.
"""

# ruff: noqa: N818 - the leaves say what happened; their base classes carry the suffix
from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar


class InterlockError(Exception):
    """Something went wrong."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").partition("\n")[0])


class SettingsError(InterlockError):
    """A variable of the environment is missing, refused or malformed."""


class RequestRefused(InterlockError):
    """The request is refused.

    `status` is the HTTP status and `code` the stable code of the answer.
    """

    status: ClassVar[int]
    code: ClassVar[str]

    def details(self) -> Mapping[str, object]:
        """What the answer's body holds beside `error` and `code`."""
        return {}

    def headers(self) -> Mapping[str, str]:
        """What the answer's head holds beside what every answer holds."""
        return {}


class NotFound(RequestRefused):
    """There is nothing at this path."""

    status = 404
    code = "NOT_FOUND"


class MethodNotAllowed(RequestRefused):
    """This path does not serve this method."""

    status = 405
    code = "METHOD_NOT_ALLOWED"

    def __init__(self, *allowed: str) -> None:
        super().__init__(f"This path serves {' and '.join(allowed)} alone.")
        self.allowed = allowed

    def headers(self) -> Mapping[str, str]:
        return {"Allow": ", ".join(self.allowed)}


class UnsupportedMediaType(RequestRefused):
    """The body must be sent as application/json."""

    status = 415
    code = "UNSUPPORTED_MEDIA_TYPE"


class BodyTooLarge(RequestRefused):
    """The body is larger than 16 KiB."""

    status = 413
    code = "BODY_TOO_LARGE"


class Unauthorized(RequestRefused):
    """A valid access token of a signed-in user is needed."""

    status = 401
    code = "UNAUTHORIZED"

    def headers(self) -> Mapping[str, str]:
        return {"WWW-Authenticate": "Bearer"}


class InvalidRequest(RequestRefused):
    """The request is not understood."""

    status = 400
    code = "INVALID_REQUEST"

    def __init__(self, message: str | None = None, fields: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.fields = dict(fields or {})

    def details(self) -> Mapping[str, object]:
        return {"fields": self.fields}


class NotAnOwner(RequestRefused):
    """The operator has not named this user an owner."""

    status = 403
    code = "NOT_AN_OWNER"


class ProposalNotFound(RequestRefused):
    """There is no such proposal."""

    status = 404
    code = "PROPOSAL_NOT_FOUND"


class KeysUnavailable(InterlockError):
    """The keys that verify access tokens cannot be fetched."""


class DatabaseError(InterlockError):
    """A call to the database gave no result."""


class DatabaseUnavailable(DatabaseError):
    """The database could not be asked, or its answer could not be read: it may or may not have happened."""


class DatabaseRefused(DatabaseError):
    """The database refused the call, and nothing of it remains.

    `code` is the SQLSTATE (`PT404`, `22P02`), `detail` and `hint` what came with it.
    """

    def __init__(self, code: str, message: str, detail: str | None = None, hint: str | None = None) -> None:
        super().__init__(f"{code}: {message}" + (f" ({detail})" if detail else ""))
        self.code = code
        self.message = message
        self.detail = detail
        self.hint = hint


class ExchangeError(InterlockError):
    """A call to the exchange gave no result."""


class ExchangeNotReached(ExchangeError):
    """No connection to the exchange could be made: not a byte was sent."""


class ExchangeUnreadable(ExchangeError):
    """The exchange gave no answer that can be read: nothing is known."""


class ExchangeRefused(ExchangeError):
    """The exchange refused the call.

    `http_status` and `error_code` are what it answered, `message` is its own text.
    """

    def __init__(self, http_status: int, error_code: int, message: str) -> None:
        super().__init__(f"The exchange answered {http_status} with code {error_code}: {message}")
        self.http_status = http_status
        self.error_code = error_code
        self.message = message


class NotThisClientsWork(ExchangeError):
    """This exchange client must never do what it was asked for."""
