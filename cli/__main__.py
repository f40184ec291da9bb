"""Arguments in, exit code out."""

from __future__ import annotations

import argparse
import getpass
import json
import os
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path

from rich.console import RenderableType

from cli import approving, commands, halting, show
from cli.ends import Ended, Exit, Said, UnknownFate, WrongCall
from cli.halting import Operator
from cli.owner import Owner, sign_in, signed_in
from cli.sessions import Sessions

_INTERRUPTED = 130
_REPOSITORY = Path(__file__).resolve().parents[1]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. With --json standard output holds one JSON object and nothing else."""
    _print_anything()
    given = sys.argv[1:] if arguments is None else list(arguments)
    call = halting.call_of(given)
    if call is not None:
        return _halt(call, os.environ)
    options = _parser().parse_args(given)
    try:
        return _tell(_run(options, os.environ), as_json=options.json)
    except Ended as ended:
        return _complain(ended, as_json=options.json)
    except KeyboardInterrupt:
        _err("Interrupted.")
        return _INTERRUPTED


def _halt(call: halting.Call, environ: Mapping[str, str]) -> int:
    """Halt before anything else. The last line of a halt that failed says so, however it failed."""
    try:
        said = Operator.of(environ).halt(call) if call.everybody else halting.halt(_owner(environ), call)
    except Ended as ended:
        failed = ended
    except KeyboardInterrupt:
        failed = UnknownFate("Interrupted.", "INTERRUPTED")
    except Exception as error:  # noqa: BLE001 - a traceback would not say that nothing is halted
        failed = UnknownFate(f"This program has failed: {type(error).__name__}: {error}.", "FAULT")
    else:
        return _tell(said, as_json=call.as_json)
    failed.facts["halted"] = False
    ended_with = _complain(failed, as_json=call.as_json)
    _err(halting.not_halted(failed, call.everybody))
    return ended_with


def _run(options: argparse.Namespace, environ: Mapping[str, str]) -> Said:
    if options.command == "login":
        return _login(options, environ, Sessions.of(environ))
    if options.command == "deployments":
        return commands.deployments(Sessions.of(environ))
    if options.command == "logout":
        sessions = Sessions.of(environ)
        return commands.logout(signed_in(environ, sessions), sessions)
    if getattr(options, "all", False):
        return Operator.of(environ).resume(_confirming(options), _shower(options))
    if options.command == "policy" and options.explain:
        return commands.explain_policy()
    owner = _owner(environ)
    match options.command:
        case "approve":
            return approving.approve(
                owner,
                options.id,
                override_cooldown=options.override_cooldown,
                override_anti_flip=options.override_anti_flip,
                quiet=options.json,
                confirm=_confirming(options),
                show_now=_shower(options),
            )
        case "decline":
            return commands.decline(owner, options.id)
        case "resume":
            return halting.resume(owner, _confirming(options), _shower(options))
        case "status":
            return commands.status(owner)
        case "policy":
            if not options.file:
                return commands.policy(owner)
            return commands.set_policy(owner, _read(options.file), _confirming(options), _shower(options))
        case "scan":
            return commands.scan(owner, enabled=not options.off)
        case _:
            return commands.proposals(owner)


def _owner(environ: Mapping[str, str]) -> Owner:
    """Whoever is signed in. The deployment of a login from before is named before it is used."""
    sessions = Sessions.of(environ)
    session = signed_in(environ, sessions)
    if not environ.get("INTERLOCK_URL"):
        _err(f"INTERLOCK_URL is not set; as signed in before: {session.email} at {session.interlock_url}.")
    return Owner(session, sessions, time.time)


def _login(options: argparse.Namespace, environ: Mapping[str, str], sessions: Sessions) -> Said:
    """The password comes from the terminal or standard input, never from an argument."""
    if sys.stdin.isatty():
        email = options.email or _asked("E-mail: ")
        password = _password() if email else ""
    else:
        email, password = options.email, _line()
        if not email:
            raise WrongCall("Without a terminal, name the e-mail: ./interlock login EMAIL", "WRONG_ARGUMENTS")
    if not (email and password):
        raise WrongCall("E-mail and password are both needed; nobody was signed in.", "WRONG_ARGUMENTS")
    if not (_is_text(email) and _is_text(password)):
        raise _not_text()
    session = sign_in(environ, sessions, email, password)
    told = {
        "email": session.email,
        "supabaseUrl": session.supabase_url,
        "interlockUrl": session.interlock_url,
    }
    return Said(told, [show.line(f"Signed in as {session.email} at {session.supabase_url}.")])


def _read(file: str) -> str:
    """What a file holds, or standard input when it is named `-`, without a BOM. Raises WrongCall."""
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        said = None if _is_text(text) else "it is not UTF-8 text"
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
    if said is not None:
        raise WrongCall(f"{file} cannot be read: {said}.", "WRONG_ARGUMENTS")
    return text.removeprefix("\ufeff")


def _confirming(options: argparse.Namespace) -> Callable[[str], bool]:
    def confirm(question: str) -> bool:
        if options.yes:
            return True
        if options.json or not sys.stdin.isatty():
            raise WrongCall("Nobody can be asked here: say --yes.", "NOT_CONFIRMED")
        return _asked(f"{question} [y/N] ").strip().lower() in ("y", "yes")

    return confirm


def _asked(question: str) -> str:
    print(question, end="", file=sys.stderr, flush=True)
    line = ""
    try:
        line = _line(end="")
    finally:
        if not line.endswith("\n"):  # Ctrl-D or Ctrl-C: what follows begins a line of its own
            _err("")
    return line.rstrip("\n")


def _line(end: str = "\n") -> str:
    """A line of standard input without this end. Raises WrongCall when it is no text."""
    try:
        return sys.stdin.readline().rstrip(end)
    except UnicodeDecodeError:
        raise _not_text() from None


def _password() -> str:
    """Asked for without an echo; Ctrl-D gives none."""
    try:
        return getpass.getpass("Password: ", stream=sys.stderr)
    except EOFError:
        _err("")
        return ""
    except UnicodeDecodeError:
        raise _not_text() from None


def _is_text(given: str) -> bool:
    """Bytes of a command line that are no UTF-8 arrive as surrogates, which no request can carry."""
    return not any("\ud800" <= sign <= "\udfff" for sign in given)


def _not_text() -> WrongCall:
    return WrongCall("What was typed is not UTF-8 text.", "WRONG_ARGUMENTS")


def _shower(options: argparse.Namespace) -> Callable[[list[RenderableType]], None]:
    return (lambda _: None) if options.json else _print


def _tell(said: Said, *, as_json: bool) -> int:
    """Say what a command came to. That it cannot be written changes nothing of what was done."""
    try:
        if as_json:
            print(json.dumps(said.data))
        else:
            _print(said.shown)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads has seen enough
        _abandon_output()
    except OSError as error:
        _abandon_output()
        _err(f"The answer cannot be written ({error.strerror}). What was asked was done.")
        return said.exit or Exit.UNSHOWN
    return said.exit


def _complain(ended: Ended, *, as_json: bool) -> int:
    if as_json:
        with suppress(OSError):
            print(json.dumps(ended.as_json()), flush=True)
    else:
        _err(str(ended))
        for line in ended.lines:
            _err(f"  {line}")
    return ended.exit


def _err(text: str) -> None:
    with suppress(OSError):
        print(show.clean(text), file=sys.stderr, flush=True)


def _abandon_output() -> None:
    """Without this the interpreter tries again as it ends, and complains of it."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _print_anything() -> None:
    """What the terminal's encoding cannot show is shown as a question mark."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")


def _print(shown: list[RenderableType]) -> None:
    console = show.console()
    for each in shown:
        console.print(each)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="interlock",
        description="Look at what the model proposes, approve or decline it, halt and resume.",
        epilog="exit codes:\n" + "\n".join(f"  {end.value}  {end.means}" for end in Exit),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"interlock {_version()}")
    _takes_json(parser, default=False)
    every = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, does: str) -> argparse.ArgumentParser:
        made = every.add_parser(name, help=does, description=does, allow_abbrev=False)
        _takes_json(made, default=argparse.SUPPRESS)
        return made

    login = command("login", "sign in; the password is asked for, or read from standard input")
    login.add_argument("email", nargs="?")
    command("logout", "forget the tokens of the deployment that is meant, and end them")
    command("deployments", "where somebody is signed in, and which deployment is meant by default")
    command("proposals", "what waits for a decision")
    approve = command("approve", "approve a proposal: every check, then one order")
    approve.add_argument("id", metavar="ID", help="its id, or the first six characters or more")
    approve.add_argument(
        "--override-cooldown", action="store_true", help="although the asset was just traded"
    )
    approve.add_argument(
        "--override-anti-flip", action="store_true", help="although the other side was just traded"
    )
    approve.add_argument("--yes", action="store_true", help="do not ask")
    decline = command("decline", "decline a proposal")
    decline.add_argument("id", metavar="ID", help="its id, or the first six characters or more")
    command("status", "trading states, executions, limits, windows, budget")
    policy = command("policy", "show your policy, or set it")
    policy.add_argument(
        "file",
        nargs="?",
        metavar="FILE",
        help="JSON, - for standard input; what is left out takes its default",
    )
    policy.add_argument("--explain", action="store_true", help="what each field means, its range and default")
    policy.add_argument("--yes", action="store_true", help="do not ask when something becomes looser")
    scan = command("scan", "let the model look at the markets now, and from now on")
    scan.add_argument("--off", action="store_true", help="no more, until it is switched on again")
    halt = command("halt", "halt your own trading, or everybody's")
    halt.add_argument("--all", action="store_true", help="everybody's, with SUPABASE_SECRET_KEY")
    halt.add_argument("reason", nargs="*", metavar="WHY", help="kept as the reason")
    resume = command("resume", "let your own trading go on, or everybody's")
    resume.add_argument("--all", action="store_true", help="everybody's, with SUPABASE_SECRET_KEY")
    resume.add_argument("--yes", action="store_true", help="do not ask")
    return parser


def _version() -> str:
    """The project's own file has it: the command line runs from the repository."""
    text = ""
    with suppress(OSError):
        text = (_REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    found = re.search(r'^version = "(.*)"$', text, re.MULTILINE)
    return found[1] if found else "of no known version"


def _takes_json(parser: argparse.ArgumentParser, default: object) -> None:
    """Before or after the command's name, as it comes to mind."""
    parser.add_argument(
        "--json",
        action="store_true",
        default=default,
        help="one JSON object on standard output, nothing else",
    )


if __name__ == "__main__":
    sys.exit(main())
