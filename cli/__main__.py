"""Arguments in, exit code out."""

from __future__ import annotations

import argparse
import getpass
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rich.console import RenderableType

from cli import commands, show
from cli.commands import Operator, Said
from cli.ends import Ended, Exit, WrongCall
from cli.owner import Owner, sign_in, signed_in
from cli.sessions import Sessions

_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. With --json standard output holds one JSON object and nothing else."""
    options = _parser().parse_args(arguments)
    try:
        said = _run(options, os.environ)
    except Ended as ended:
        if options.json:
            print(json.dumps(ended.as_json()))
        else:
            print(show.clean(ended), file=sys.stderr)
        return ended.exit
    except KeyboardInterrupt:
        return _INTERRUPTED
    if options.json:
        print(json.dumps(said.data))
    else:
        _print(said.shown)
    return said.exit


def _run(options: argparse.Namespace, environ: Mapping[str, str]) -> Said:
    sessions = Sessions.of(environ)
    if options.command == "login":
        return _login(options, environ, sessions)
    if getattr(options, "all", False):
        return _operate(options, Operator.of(environ))
    if options.command == "halt" and options.reason:
        raise WrongCall(
            "A reason is kept with --all alone: an owner's own halt needs none.", "WRONG_ARGUMENTS"
        )
    owner = Owner(signed_in(environ, sessions), sessions, time.time)
    match options.command:
        case "approve":
            return commands.approve(
                owner,
                options.id,
                override_cooldown=options.override_cooldown,
                override_anti_flip=options.override_anti_flip,
            )
        case "decline":
            return commands.decline(owner, options.id)
        case "halt":
            return commands.halt(owner)
        case "resume":
            return commands.resume(owner, _confirming(options), _shower(options))
        case "status":
            return commands.status(owner)
        case "policy":
            return commands.set_policy(owner, _read(options.file)) if options.file else commands.policy(owner)
        case "scan":
            return commands.scan(owner, enabled=not options.off)
        case _:
            return commands.proposals(owner)


def _operate(options: argparse.Namespace, operator: Operator) -> Said:
    if options.command == "resume":
        return operator.resume(_confirming(options), _shower(options))
    if not options.reason:
        raise WrongCall('halt --all needs a reason: ./interlock halt --all "why"', "WRONG_ARGUMENTS")
    return operator.halt(options.reason)


def _login(options: argparse.Namespace, environ: Mapping[str, str], sessions: Sessions) -> Said:
    """The password comes from the terminal or standard input, never from an argument."""
    if sys.stdin.isatty():
        email = options.email or _asked("E-mail: ")
        password = getpass.getpass("Password: ", stream=sys.stderr)
    else:
        email, password = options.email, sys.stdin.readline().rstrip("\n")
        if not email:
            raise WrongCall("Without a terminal, name the e-mail: ./interlock login EMAIL", "WRONG_ARGUMENTS")
    session = sign_in(environ, sessions, email, password)
    told = {
        "email": session.email,
        "supabaseUrl": session.supabase_url,
        "interlockUrl": session.interlock_url,
    }
    return Said(told, [show.line(f"Signed in as {session.email} at {session.supabase_url}.")])


def _read(file: str) -> str:
    """What a file holds, or standard input when it is named `-`. Raises WrongCall."""
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise WrongCall(f"{file} cannot be read: {said}.", "WRONG_ARGUMENTS") from None


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
    return sys.stdin.readline().rstrip("\n")


def _shower(options: argparse.Namespace) -> Callable[[list[RenderableType]], None]:
    return (lambda _: None) if options.json else _print


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
    _takes_json(parser, default=False)
    every = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, does: str) -> argparse.ArgumentParser:
        made = every.add_parser(name, help=does, description=does, allow_abbrev=False)
        _takes_json(made, default=argparse.SUPPRESS)
        return made

    login = command("login", "sign in; the password is asked for, or read from standard input")
    login.add_argument("email", nargs="?")
    command("proposals", "what waits for a decision")
    approve = command("approve", "approve a proposal: every check, then one order")
    approve.add_argument("id", metavar="ID", help="its id, or the first characters of it")
    approve.add_argument(
        "--override-cooldown", action="store_true", help="although the asset was just traded"
    )
    approve.add_argument(
        "--override-anti-flip", action="store_true", help="although the other side was just traded"
    )
    decline = command("decline", "decline a proposal")
    decline.add_argument("id", metavar="ID", help="its id, or the first characters of it")
    command("status", "trading states, executions, limits, windows, budget")
    policy = command("policy", "show your policy, or set it")
    policy.add_argument(
        "file",
        nargs="?",
        metavar="FILE",
        help="JSON, - for standard input; what is left out takes its default",
    )
    scan = command("scan", "let the model look at the markets now, and from now on")
    scan.add_argument("--off", action="store_true", help="no more, until it is switched on again")
    halt = command("halt", "halt your own trading, or everybody's")
    halt.add_argument("--all", action="store_true", help="everybody's, with SUPABASE_SECRET_KEY and a reason")
    halt.add_argument("reason", nargs="?", metavar="REASON")
    resume = command("resume", "let your own trading go on, or everybody's")
    resume.add_argument("--all", action="store_true", help="everybody's, with SUPABASE_SECRET_KEY")
    resume.add_argument("--yes", action="store_true", help="do not ask")
    return parser


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
