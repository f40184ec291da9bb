"""An owner at work: signing in, and asking `execute` and the database with their own token."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cli.ends import Refused, Unavailable, UnknownFate, WrongCall
from cli.sessions import Session, Sessions
from cli.web import PATIENCE_S, Answer, NoAnswerError, NotSentError, address, ask, header_value

NEEDED = ("SUPABASE_URL", "SUPABASE_PUBLISHABLE_KEY", "INTERLOCK_URL")
_SIGN_OUT_PATIENCE_S = 5.0
_EARLY_S = 60
"""A token is refreshed so long before it ends, that no request carries one that ends on the way."""


def sign_in(environ: Mapping[str, str], sessions: Sessions, email: str, password: str) -> Session:
    """Sign in with e-mail and password and keep the tokens; the password is kept nowhere."""
    missing = [name for name in NEEDED if not environ.get(name)]
    if missing:
        raise WrongCall(f"login needs {', '.join(missing)} in the environment.", "MISSING_VARIABLE")
    key = header_value("SUPABASE_PUBLISHABLE_KEY", environ["SUPABASE_PUBLISHABLE_KEY"])
    if key.startswith("sb_secret_"):
        raise WrongCall("SUPABASE_PUBLISHABLE_KEY holds a secret key: take the publishable one.", "WRONG_KEY")
    signed_out = Session(
        supabase_url=address("SUPABASE_URL", environ["SUPABASE_URL"]),
        publishable_key=key,
        interlock_url=address("INTERLOCK_URL", environ["INTERLOCK_URL"]),
        email=email,
        access_token="",
        refresh_token="",
        expires_at=0,
    )
    session = _tokens(signed_out, "password", {"email": email, "password": password})
    with sessions.alone():
        sessions.keep(session, as_last=True)
    return session


def signed_in(environ: Mapping[str, str], sessions: Sessions) -> Session:
    """The session that the environment names, or the last one. Raises WrongCall when nobody is signed in."""
    url, elsewhere = environ.get("SUPABASE_URL"), environ.get("INTERLOCK_URL")
    if elsewhere:
        elsewhere = address("INTERLOCK_URL", elsewhere)
    if elsewhere and not url:
        # A token of one project is not for another's functions.
        at = (session for session, _ in sessions.every() if session.interlock_url == elsewhere)
        session = next(at, None)
    else:
        session = sessions.find(address("SUPABASE_URL", url) if url else None)
    if session is None:
        where = f" at {url or elsewhere}" if url or elsewhere else ""
        raise WrongCall(f"Nobody is signed in{where}: ./interlock login", "NOT_SIGNED_IN")
    return replace(session, interlock_url=elsewhere or session.interlock_url)


def sign_out(session: Session, sessions: Sessions) -> bool:
    """Forget the tokens here, and end them at the project: whether that was answered."""
    with sessions.alone():
        sessions.drop(session)
    headers = {"apikey": session.publishable_key, "Authorization": f"Bearer {session.access_token}"}
    try:
        answer = ask(
            "POST",
            f"{session.supabase_url}/auth/v1/logout",
            headers=headers,
            params=[("scope", "local")],
            patience_s=_SIGN_OUT_PATIENCE_S,
        )
    except (NotSentError, NoAnswerError):
        return False
    return answer.is_success


@dataclass(slots=True)
class Owner:
    """A signed-in owner. `now_s` is the Unix time."""

    session: Session
    sessions: Sessions
    now_s: Callable[[], float]

    def interlock(
        self, method: str, path: str, body: object = None, patience_s: float = PATIENCE_S
    ) -> Answer:
        """Ask `execute`. Raises NotSentError and NoAnswerError."""
        return self._ask(method, self.session.interlock_url + path, body=body, patience_s=patience_s)

    def status(self, patience_s: float = PATIENCE_S) -> dict[str, Any]:
        """One's own trading at a glance, as execute tells it. Raises Refused and Unavailable."""
        url = self.session.interlock_url
        answer = told(lambda: self.interlock("GET", "/status", patience_s=patience_s), url)
        if isinstance(answer.body, dict) and answer.is_success:
            return answer.body
        if isinstance(answer.body, dict) and answer.body.get("code"):
            raise refused(answer)
        raise Unavailable(f"{url} answered HTTP {answer.status}, and not in Interlock's words.", "NO_ANSWER")

    def rows(self, table: str, query: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
        """Own rows, as PostgREST filters them."""
        answer = told(
            lambda: self._ask("GET", f"{self._rest}/{table}", params=query), self.session.supabase_url
        )
        if not answer.is_success or not isinstance(answer.body, list):
            raise refused(answer)
        return answer.body

    def call(self, rpc: str, arguments: Mapping[str, object]) -> dict[str, Any]:
        """Call an owner's RPC. Raises Refused with the database's reason, UnknownFate when none came."""
        answer = done(
            lambda: self._ask("POST", f"{self._rest}/rpc/{rpc}", body=dict(arguments)),
            self.session.supabase_url,
        )
        if not answer.is_success or not isinstance(answer.body, dict):
            raise refused(answer)
        return answer.body

    @property
    def _rest(self) -> str:
        return f"{self.session.supabase_url}/rest/v1"

    def _ask(self, method: str, url: str, **request: Any) -> Answer:
        """Ask with a token that is good for a while, and once more with a new one when it is refused."""
        if self.session.expires_at - _EARLY_S < self.now_s():
            self._refresh()
        answer = ask(method, url, headers=self._headers(), **request)
        if answer.status == 401:  # nothing was done
            self._refresh()
            answer = ask(method, url, headers=self._headers(), **request)
        return answer

    def _headers(self) -> dict[str, str]:
        return {
            "apikey": self.session.publishable_key,
            "Authorization": f"Bearer {self.session.access_token}",
        }

    def _refresh(self) -> None:
        with self.sessions.alone():
            kept = self.sessions.find(self.session.supabase_url)
            if kept is not None and kept.access_token != self.session.access_token:
                # Another process has refreshed meanwhile.
                self.session = replace(kept, interlock_url=self.session.interlock_url)
                return
            try:
                new = _tokens(self.session, "refresh_token", {"refresh_token": self.session.refresh_token})
            except Refused:
                raise WrongCall("The sign-in has ended: ./interlock login", "SIGN_IN_ENDED") from None
            self.sessions.keep(replace(new, interlock_url=(kept or new).interlock_url))
            self.session = new


def _tokens(session: Session, grant: str, given: Mapping[str, str]) -> Session:
    """Ask the auth service for tokens. Raises Refused when it gives none."""
    url = f"{session.supabase_url}/auth/v1/token"
    answer = told(
        lambda: ask(
            "POST",
            url,
            headers={"apikey": session.publishable_key},
            params=[("grant_type", grant)],
            body=dict(given),
        ),
        session.supabase_url,
    )
    body = answer.body if isinstance(answer.body, dict) else {}
    if not answer.is_success or not body.get("access_token"):
        raise refused(answer)
    return replace(
        session,
        access_token=str(body["access_token"]),
        refresh_token=str(body.get("refresh_token") or ""),
        expires_at=int(body.get("expires_at") or 0),
    )


def told(asking: Callable[[], Answer], whom: str) -> Answer:
    """The answer to a question, which changes nothing. Raises Unavailable when there is none."""
    try:
        return asking()
    except (NotSentError, NoAnswerError) as error:
        raise Unavailable(f"{whom} gave no answer ({error}).", "NO_ANSWER") from None


def done(asking: Callable[[], Answer], whom: str) -> Answer:
    """The answer to a demand. Raises Unavailable when it never left, UnknownFate when no answer came."""
    try:
        return asking()
    except NotSentError as error:
        raise Unavailable(f"{whom} cannot be reached ({error}).", "NOT_REACHED") from None
    except NoAnswerError as error:
        raise UnknownFate(
            f"{whom} gave no answer ({error}): it may have been done. Repeating is safe.", "NO_ANSWER"
        ) from None


def refused(answer: Answer) -> Refused | Unavailable:
    """What a failure of the database or the auth service means."""
    kind = Unavailable if answer.status >= 500 or answer.status == 429 else Refused
    return kind(answer.said(), answer.code(), {"httpStatus": answer.status})
