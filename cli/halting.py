"""Halting, which comes before anything else that a call may want, and resuming, which looks first."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from rich.console import RenderableType

from cli import show
from cli.ends import Ended, Exit, Refused, Said, Unavailable, UnknownFate, WrongCall
from cli.owner import Owner, done, refused, told
from cli.sentences import instant
from cli.web import address, ask, header_value

HALT_AGAIN_AFTER_S = (1.0, 3.0)
"""A halt is repeated by itself: it harms nobody, and is wanted now."""

LONGEST_REASON = 400
"""Characters of a reason that the database keeps."""

_LOOK_PATIENCE_S = 3.0
"""How long a halt that is done waits for the mode that is shown beside it."""


@dataclass(frozen=True, slots=True)
class Call:
    """What a call of `halt` asks for, whatever else it says."""

    everybody: bool
    as_json: bool
    reason: str
    complaints: tuple[str, ...]
    is_wrong: bool


def call_of(arguments: Sequence[str]) -> Call | None:
    """Read a call of `halt`, and be pleased with anything; None for another command, or for help."""
    place = next((place for place, word in enumerate(arguments) if not word.startswith("-")), None)
    if place is None or arguments[place] != "halt":
        return None
    words = [*arguments[:place], *arguments[place + 1 :]]
    if "-h" in words or "--help" in words:
        return None
    everybody, as_json = "--all" in words, "--json" in words
    words = [word for word in words if word not in ("--all", "--json", "--")]
    strange = [word for word in words if word.startswith("-") and " " not in word]
    reason = " ".join(words).encode("utf-8", "replace").decode().strip()
    complaints = [f"{word} is no option of halt: it was taken for a part of the reason." for word in strange]
    if strange and not everybody:
        complaints.append("Everybody's trading is halted with --all alone.")
    if everybody and not reason:
        complaints.append('Say why as well: ./interlock halt --all "why".')
    if len(reason) > LONGEST_REASON:
        complaints.append(f"The first {LONGEST_REASON} characters of the reason are kept.")
    return Call(everybody, as_json, reason[:LONGEST_REASON], tuple(complaints), bool(strange))


def not_halted(ended: Ended, everybody: bool) -> str:
    """The last line of a halt that failed: what is not halted, and what to do."""
    if everybody:
        again = './interlock halt --all "why"'
        by_hand = "run `select halt_trading('why');` in the dashboard's SQL editor"
    else:
        again = "./interlock halt"
        by_hand = "ask the operator to halt everybody's trading"
    if ended.code in ("NOT_SIGNED_IN", "SIGN_IN_ENDED"):
        again = f"./interlock login, then {again}"
    elif ended.code == "MISSING_VARIABLE":
        again = "set what is missing, then repeat"
    elif isinstance(ended, UnknownFate):
        return f"NOT halted, as far as is known: repeat {again}, or {by_hand}."
    elif ended.code == "NO_POLICY":
        return "NOT halted: without a policy you cannot trade, so there is nothing to halt."
    return f"NOT halted: {again}, or {by_hand}."


def halt(owner: Owner, call: Call, sleep: Callable[[float], None] = time.sleep) -> Said:
    """Halt one's own trading; only then is anything else asked."""
    parameters: dict[str, object] = {"p_state": "HALTED", "p_reason": call.reason or None}
    row = _again_and_again(lambda: owner.call("set_trading_state", parameters), sleep)
    shown: list[RenderableType] = []
    if not call.as_json:
        status = None
        with suppress(Ended, KeyboardInterrupt):
            status = owner.status(_LOOK_PATIENCE_S)
        shown = [
            show.header(owner.session, status),
            show.line("Your trading is halted.", "bold"),
            show.line("To go on: ./interlock resume", "dim"),
        ]
    return _done(call, _own_state(row), shown)


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
        key = header_value("SUPABASE_SECRET_KEY", environ["SUPABASE_SECRET_KEY"])
        return cls(address("SUPABASE_URL", environ["SUPABASE_URL"]), key)

    def halt(self, call: Call, sleep: Callable[[float], None] = time.sleep) -> Said:
        """Halt everybody's trading."""
        row = _again_and_again(lambda: self._call("halt_trading", {"p_reason": call.reason}), sleep)
        shown = [
            show.line(f"The operator at {self.supabase_url}: {show.mode(row.get('mode'))}", "dim"),
            show.line("Everybody's trading is halted.", "bold"),
            show.line("To go on: ./interlock resume --all", "dim"),
        ]
        return _done(call, _controls(row), shown)

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
    """The row of a halt that was answered with one. Raises whatever the last try raised."""
    for pause_s in (*HALT_AGAIN_AFTER_S, None):
        try:
            row = halting()
        except (Unavailable, UnknownFate):
            if pause_s is None:
                raise
            sleep(pause_s)
        else:
            if row.get("trading_state") == "HALTED":
                return row
            raise UnknownFate("The answer does not say that trading is halted.", "NO_ANSWER")
    raise AssertionError("the last try returns or raises")


def _done(call: Call, row: Mapping[str, Any], shown: list[RenderableType]) -> Said:
    facts = {**row, "halted": True, "complaints": list(call.complaints)}
    shown = [*shown, *(show.line(complaint) for complaint in call.complaints)]
    return Said(facts, shown, Exit.USAGE if call.is_wrong else Exit.DONE)


def _state_before(whose: str, row: Mapping[str, Any], reason: str) -> list[RenderableType]:
    reasons = show.reasons(row.get(reason)) or ["none was given"]
    return [
        show.line(f"{whose} is {row['trading_state']} since {instant(str(row['updated_at']))}.", "bold"),
        *(show.line(f"Reason: {each}") for each in reasons),
    ]


def _own_state(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row.get(name) for name in ("trading_state", "state_reason", "version")}


def _controls(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row.get(name) for name in ("trading_state", "reason", "mode", "version")}
