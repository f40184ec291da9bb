"""What each command does: asks, and says what was answered, for people and as JSON."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rich.console import RenderableType

from cli import show
from cli.ends import Exit, Refused, Unavailable, UnknownFate, WrongCall
from cli.owner import Owner, done, refused, told
from cli.sentences import instant
from cli.web import Answer, NoAnswerError, NotSentError, address, ask

APPROVAL_PATIENCE_S = 90.0
"""Longer than `execute` takes at the very most."""

HALT_AGAIN_AFTER_S = (1.0, 3.0)
"""A halt is repeated by itself: it harms nobody, and is wanted now."""

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_PREFIX = re.compile(r"[0-9a-f-]{4,36}")
_REACHED = ("OPEN", "PARTIALLY_FILLED", "FILLED", "CANCELED", "DRY_RUN")
_NOT_YET_KNOWN = ("CLAIMED", "UNKNOWN")
_SAFE = "Repeat the same command: that is safe, never places a second order, and tells what happened."


@dataclass(frozen=True, slots=True)
class Said:
    """What a command came to: for scripts, for people, and for the exit code."""

    data: Mapping[str, Any]
    shown: list[RenderableType] = field(default_factory=list)
    exit: Exit = Exit.DONE


def proposals(owner: Owner) -> Said:
    """The proposals that wait for a decision."""
    status = _status(owner)
    pending = status["pending_proposals"]
    shown = show.proposals(pending, status["now"])
    if pending:
        hint = f"./interlock approve {show.short(pending[0]['id'])}, or decline"
        shown += [show.line(""), show.line(hint, "dim")]
    return Said({"now": status["now"], "proposals": pending}, shown)


def status(owner: Owner) -> Said:
    """Everything that an owner wants to know."""
    told_status = _status(owner)
    return Said(told_status, show.status(told_status))


def approve(owner: Owner, wanted: str, *, override_cooldown: bool, override_anti_flip: bool) -> Said:
    """Approve one proposal. Whatever is not known for certain is said to be unknown."""
    proposal = _identify(owner, wanted)
    body = {
        "proposalId": proposal,
        "overrideCooldown": override_cooldown,
        "overrideAntiFlip": override_anti_flip,
    }
    try:
        answer = owner.interlock("POST", "/", body, APPROVAL_PATIENCE_S)
    except NotSentError as error:
        raise Unavailable(
            f"{owner.session.interlock_url} cannot be reached ({error}): this approval was not sent.",
            "NOT_REACHED",
            {"proposalId": proposal},
        ) from None
    except (NoAnswerError, KeyboardInterrupt) as error:
        raise _unknown(proposal, str(error) or type(error).__name__) from None
    return _approved(proposal, answer)


def _approved(proposal: str, answer: Answer) -> Said:
    """What an answer of `execute` means. Only what is its own is believed."""
    body = answer.body if isinstance(answer.body, dict) else {}
    code = str(body.get("code") or "")
    execution = body.get("execution")
    told_all = {**body, "httpStatus": answer.status, "proposalId": proposal}
    if isinstance(execution, dict):
        return _with_execution(told_all, execution, code)
    if answer.status == 422 and code == "CHECKS_FAILED":
        shown = [show.line("Refused; nothing was sent.", "bold"), *show.refusal(body.get("checks") or [])]
        return Said(told_all, shown, Exit.REFUSED)
    if answer.status == 503 and code in ("UNAVAILABLE", "BUSY"):
        raise Unavailable(answer.said(), code, told_all)
    if 400 <= answer.status < 500 and code:
        kind = WrongCall if answer.status == 401 else Refused
        raise kind(answer.said(), code, told_all)
    raise _unknown(proposal, f"HTTP {answer.status}, and not in Interlock's words")


def _with_execution(told_all: dict[str, Any], execution: Mapping[str, Any], code: str) -> Said:
    """The proposal has an execution, from now or from before: its state decides."""
    state = str(execution.get("status"))
    shown = []
    if code in ("ALREADY_EXECUTED", "EXECUTION_IN_PROGRESS"):
        shown.append(show.line("This proposal was approved before; nothing was sent now."))
    shown.append(show.line(show.fate(execution), "bold"))
    exchange = told_all.get("exchange")
    if isinstance(exchange, dict) and exchange.get("error"):
        shown.append(show.line(f"The exchange says: {exchange['error']}"))
    shown.append(show.line(f"execution {execution.get('id')}", "dim"))
    if told_all.get("recorded") is False:
        shown.append(show.line("The database does not know it yet; cleanup will store it."))
    if state in _REACHED:
        return Said(told_all, shown)
    return Said(told_all, shown, Exit.UNKNOWN if state in _NOT_YET_KNOWN else Exit.REFUSED)


def _unknown(proposal: str, why: str) -> UnknownFate:
    return UnknownFate(
        f"No answer that can be read ({why}): whether the order was placed is not known here. {_SAFE}",
        "NO_ANSWER",
        {"proposalId": proposal},
    )


def decline(owner: Owner, wanted: str) -> Said:
    """Decline one pending proposal."""
    proposal = _identify(owner, wanted)
    answer = owner.call("decline_proposal", {"p_proposal_id": proposal})
    state = str(answer["proposal"]["status"])
    if answer["outcome"] == "declined":
        return Said(answer, [show.line("Declined.")])
    raise Refused(
        f"The proposal is {state}; only a PENDING one can be declined.", "PROPOSAL_NOT_PENDING", answer
    )


def policy(owner: Owner) -> Said:
    """One's own trading policy, whole."""
    found = owner.rows(
        "trading_policies", [("select", "policy,policy_hash,trading_state,state_reason,version,updated_at")]
    )
    if not found:
        raise Refused("You have no trading policy yet: ./interlock policy FILE sets one.", "NO_POLICY")
    return Said(found[0], _policy_shown(found[0]))


def set_policy(owner: Owner, text: str) -> Said:
    """Set one's own trading policy from its JSON; what it leaves out takes its default."""
    try:
        wanted = json.loads(text)
    except ValueError as error:
        raise WrongCall(f"The policy is not JSON: {error}.", "WRONG_ARGUMENTS") from None
    row = owner.call("set_trading_policy", {"p_policy": wanted})
    return Said(row, [show.line("Your policy is set.", "bold"), *_policy_shown(row)])


def _policy_shown(row: Mapping[str, Any]) -> list[RenderableType]:
    return [show.line(each) for each in json.dumps(row["policy"], indent=2, ensure_ascii=False).splitlines()]


def scan(owner: Owner, *, enabled: bool) -> Said:
    """Make one's own scan due at once and switch it on, or switch it off."""
    row = owner.call("schedule_scan", {"p_enabled": enabled})
    said = "A scan is due now: it proposes within a minute, or holds." if enabled else "Your scan is off."
    return Said(row, [show.line(said)])


def halt(owner: Owner, sleep: Callable[[float], None] = time.sleep) -> Said:
    """Halt one's own trading."""
    row = _again_and_again(lambda: owner.call("set_trading_state", {"p_state": "HALTED"}), sleep)
    shown = [show.line("Your trading is halted.", "bold"), show.line("To go on: ./interlock resume", "dim")]
    return Said(_own_state(row), shown)


def resume(
    owner: Owner, confirm: Callable[[str], bool], show_now: Callable[[list[RenderableType]], None]
) -> Said:
    """Let one's own trading go on, after showing what was halted and why."""
    found = owner.rows("trading_policies", [("select", "trading_state,state_reason,version,updated_at")])
    if not found:
        raise Refused("You have no trading policy yet, so there is nothing to resume.", "NO_POLICY")
    before = found[0]
    if before["trading_state"] == "ACTIVE":
        return Said(before, [show.line("Your trading is active already."), *_everybodys(owner)])
    show_now(_state_before("Your trading", before, "state_reason"))
    if not confirm("Resume your trading?"):
        raise Refused("Nothing was changed.", "NOT_CONFIRMED", before)
    row = owner.call("set_trading_state", {"p_state": "ACTIVE", "p_version": int(before["version"])})
    return Said(
        {"before": before, **_own_state(row)},
        [show.line("Your trading is active again.", "bold"), *_everybodys(owner)],
    )


def _everybodys(owner: Owner) -> list[RenderableType]:
    """A line when the operator's halt still stands: then one's own state changes nothing."""
    rows = owner.rows("trading_controls", [("select", "trading_state,mode")])
    state = str(rows[0]["trading_state"]) if rows else "unknown"
    if state == "ACTIVE":
        return []
    return [
        show.line(
            f"Everybody's trading is {state} all the same: only the operator changes that (resume --all)."
        )
    ]


@dataclass(frozen=True, slots=True)
class Operator:
    """Whoever holds the secret key, which is taken from the environment and kept nowhere."""

    supabase_url: str
    secret_key: str = field(repr=False)

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Operator:
        """Raises WrongCall, which names what is missing."""
        missing = [name for name in ("SUPABASE_URL", "SUPABASE_SECRET_KEY") if not environ.get(name)]
        if missing:
            raise WrongCall(f"--all needs {' and '.join(missing)} in the environment.", "MISSING_VARIABLE")
        return cls(address("SUPABASE_URL", environ["SUPABASE_URL"]), environ["SUPABASE_SECRET_KEY"])

    def halt(self, reason: str, sleep: Callable[[float], None] = time.sleep) -> Said:
        """Halt everybody's trading."""
        row = _again_and_again(lambda: self._call("halt_trading", {"p_reason": reason}), sleep)
        shown = [
            show.line("Everybody's trading is halted.", "bold"),
            show.line("To go on: ./interlock resume --all", "dim"),
        ]
        return Said(_controls(row), shown)

    def resume(
        self, confirm: Callable[[str], bool], show_now: Callable[[list[RenderableType]], None]
    ) -> Said:
        """Let everybody's trading go on, after showing what was halted and why."""
        select = [("select", "trading_state,reason,mode,version,updated_at,reconciled_at")]
        answer = told(
            lambda: ask(
                "GET", f"{self.supabase_url}/rest/v1/trading_controls", headers=self._headers(), params=select
            ),
            self.supabase_url,
        )
        if not answer.is_success or not isinstance(answer.body, list) or not answer.body:
            raise refused(answer)
        before = answer.body[0]
        if before["trading_state"] == "ACTIVE":
            return Said(before, [show.line("Everybody's trading is active already.")])
        show_now(_state_before("Everybody's trading", before, "reason"))
        if not confirm(f"Resume everybody's trading, in the mode {before['mode']}?"):
            raise Refused("Nothing was changed.", "NOT_CONFIRMED", before)
        changes = {"trading_state": "ACTIVE", "reason": "resumed by the operator"}
        row = self._call("set_trading_controls", {"p_changes": changes, "p_version": int(before["version"])})
        return Said(
            {"before": before, **_controls(row)}, [show.line("Everybody's trading is active again.", "bold")]
        )

    def _call(self, rpc: str, arguments: Mapping[str, object]) -> dict[str, Any]:
        url = f"{self.supabase_url}/rest/v1/rpc/{rpc}"
        answer = done(
            lambda: ask("POST", url, headers=self._headers(), body=dict(arguments)), self.supabase_url
        )
        if not answer.is_success or not isinstance(answer.body, dict):
            raise refused(answer)
        return answer.body

    def _headers(self) -> dict[str, str]:
        return {"apikey": self.secret_key, "Authorization": f"Bearer {self.secret_key}"}


def _again_and_again(halting: Callable[[], dict[str, Any]], sleep: Callable[[float], None]) -> dict[str, Any]:
    for pause_s in (*HALT_AGAIN_AFTER_S, None):
        try:
            return halting()
        except (Unavailable, UnknownFate) as error:
            if pause_s is None:
                raise type(error)(
                    f"{error} Trading may NOT be halted: repeat, or halt it in the dashboard.",
                    error.code,
                    error.facts,
                ) from None
            sleep(pause_s)
    raise AssertionError("the last try returns or raises")


def _state_before(whose: str, row: Mapping[str, Any], reason: str) -> list[RenderableType]:
    return [
        show.line(f"{whose} is {row['trading_state']} since {instant(str(row['updated_at']))}.", "bold"),
        show.line(f"Reason: {row.get(reason) or 'none was given'}"),
    ]


def _own_state(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row.get(name) for name in ("trading_state", "state_reason", "version")}


def _controls(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row.get(name) for name in ("trading_state", "reason", "mode", "version")}


def _status(owner: Owner) -> dict[str, Any]:
    answer = told(lambda: owner.interlock("GET", "/status"), owner.session.interlock_url)
    if isinstance(answer.body, dict) and answer.is_success:
        return answer.body
    if isinstance(answer.body, dict) and answer.body.get("code"):
        raise refused(answer)
    raise Unavailable(
        f"{owner.session.interlock_url} answered HTTP {answer.status}, and not in Interlock's words.",
        "NO_ANSWER",
    )


def _identify(owner: Owner, wanted: str) -> str:
    """The whole id of one's own proposal that is meant by an id or an unambiguous beginning of it."""
    given = wanted.strip().lower()
    if _UUID.fullmatch(given):
        return given
    digits = given.replace("-", "")
    if not _PREFIX.fullmatch(given) or len(digits) < 4 or len(digits) > 32 or not _is_beginning(given):
        raise WrongCall(
            "A proposal is named by its id, or the first four characters or more of it.", "WRONG_ID"
        )
    found = owner.rows(
        "trade_proposals",
        [
            ("select", "id,status,market,side"),
            ("id", f"gte.{_as_uuid(digits.ljust(32, '0'))}"),
            ("id", f"lte.{_as_uuid(digits.ljust(32, 'f'))}"),
            ("order", "created_at.desc"),
            ("limit", "10"),
        ],
    )
    if not found:
        raise Refused(f"You have no proposal whose id begins with {given}.", "PROPOSAL_NOT_FOUND")
    if len(found) > 1:
        ids = [str(row["id"]) for row in found]
        raise WrongCall(
            f"Several proposals begin with {given}: {', '.join(ids)}.", "AMBIGUOUS_ID", {"ids": ids}
        )
    return str(found[0]["id"])


def _as_uuid(digits: str) -> str:
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _is_beginning(given: str) -> bool:
    """Do the hyphens stand where those of an id stand, or are there none?"""
    digits = given.replace("-", "")
    return given == digits or _as_uuid(digits.ljust(32, "0")).startswith(given)
