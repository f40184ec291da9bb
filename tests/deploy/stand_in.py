"""A stand-in for gcloud: keeps what exists in a file, and answers as gcloud does.

Its refusals have the words of gcloud 528 and of the services behind it, as far as the script reads them.
"""

from __future__ import annotations

import json
import os
import signal
import socketserver
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

_VALUE_FOLLOWS = {"--source", "--function", "--base-image"}
_VERBS = {
    *("describe", "create", "list", "enable", "add", "access", "deploy", "run", "update", "update-traffic"),
    *("get-iam-policy", "add-iam-policy-binding", "remove-iam-policy-binding", "read"),
}
_NOT_FOUND = {
    kind: f"Could not fetch resource:\n - The resource 'projects/p/{kind}/{{}}' was not found"
    for kind in ("networks", "addresses", "subnets", "routers")
} | {
    "nats": "NAT `{}` not found",
    "services": "Cannot find service [{}]",
    "secrets": "NOT_FOUND: Secret [projects/1/secrets/{}] not found. This command is authenticated as x.",
    "service-accounts": "NOT_FOUND: Unknown service account. This command is authenticated as x.",
}


class Ended(Exception):  # noqa: N818 - how a call ends, well or badly
    """Exit status, standard output, standard error."""

    def __init__(self, status: int = 0, out: str = "", err: str = "") -> None:
        super().__init__()
        self.status, self.out, self.err = status, f"{out}\n" if out else "", f"{err}\n" if err else ""


@dataclass
class Call:
    """One call: its words up to the verb, the names after it, its flags, and what came by standard input."""

    command: list[str]
    names: list[str]
    flags: dict[str, str]
    stdin: str

    @classmethod
    def parse(cls, argv: list[str], stdin: str) -> Call:
        words: list[str] = []
        flags: dict[str, str] = {}
        rest = list(argv)
        while rest:
            part = rest.pop(0)
            if part in _VALUE_FOLLOWS:
                flags[part] = rest.pop(0)
            elif part.startswith("--"):
                name, _, value = part.partition("=")
                flags[name] = value
            else:
                words.append(part)
        verb = next((at for at, word in enumerate(words) if at > 0 and word in _VERBS), 0)
        if words[verb + 1 : verb + 2] == ["http"]:
            verb += 1
        return cls(words[: verb + 1], words[verb + 1 :], flags, stdin)

    @property
    def verb(self) -> str:
        return self.command[-2 if self.command[-1] == "http" else -1]

    @property
    def kind(self) -> str:
        return self.command[-3 if self.command[-1] == "http" else -2]

    @property
    def key(self) -> str:
        return f"{self.kind}/{self.names[0].partition('@')[0]}"

    def fail(self, said: str) -> NoReturn:
        raise Ended(1, err=f"ERROR: (gcloud.{'.'.join(self.command)}) {said}")

    def not_found(self) -> NoReturn:
        self.fail(
            _NOT_FOUND.get(self.kind, "NOT_FOUND: Requested entity was not found.").format(self.names[0])
        )

    def exists(self) -> NoReturn:
        self.fail(f"ALREADY_EXISTS: {self.names[0]} already exists.")

    def content(self, flag: str) -> Any:
        """A file that a flag names, relative to where the script runs."""
        return json.loads((CLONE[0] / self.flags[flag]).read_text())


CLONE: list[Path] = []
"""Where the script runs; files are named relative to it."""


@dataclass
class Cloud:
    """One Google project. `trouble` is what is wrong with it, or with who asks."""

    file: Path
    functions: str
    trouble: str = ""
    kill_after: int = 0
    """Kill who asks when this many changes have taken effect; 0: never."""
    disabled: frozenset[int] = frozenset()
    """Numbers of the versions of secrets that somebody disabled."""
    calls: list[list[str]] = field(default_factory=list)
    changes: list[list[str]] = field(default_factory=list)

    def state(self) -> dict[str, Any]:
        """All that exists, and how often the scheduler was made to call."""
        empty: dict[str, Any] = {"things": {}, "policies": {}, "apis": [], "runs": 0}
        return json.loads(self.file.read_text()) if self.file.exists() else empty

    def keep(self, state: dict[str, Any]) -> None:
        """Make this what exists."""
        self.file.write_text(json.dumps(state, sort_keys=True))

    def serve(self, argv: list[str], stdin: str, process: int) -> Ended:
        """Answer one call, and keep what it changed."""
        self.calls.append(argv)
        state = self.state()
        before = json.dumps(state, sort_keys=True)
        try:
            self._answer(Call.parse(argv, stdin), state)
        except Ended as how:
            ended = how
        if json.dumps(state, sort_keys=True) != before:
            self.keep(state)
            self.changes.append(argv)
            if len(self.changes) == self.kill_after:
                os.killpg(os.getpgid(process), signal.SIGKILL)
        return ended

    def _answer(self, call: Call, state: dict[str, Any]) -> NoReturn:
        things = state["things"]
        match call.command:
            case ["version"]:
                self._version(call.flags["--format"])
            case ["auth", *_]:
                raise Ended(out="" if self.trouble == "no login" else "operator@example.com")
            case ["projects", "describe"]:
                if self.trouble == "no project":
                    call.fail(
                        "[x] does not have permission to access projects instance [p] (or it may not exist)"
                    )
                raise Ended(out="123456789")
            case ["billing", *_]:
                raise Ended(out="False" if self.trouble == "no billing" else "True")
            case ["services", "list"]:
                if self.trouble == "no permission":
                    call.fail("PERMISSION_DENIED: Project 'p' not found or permission denied.")
                raise Ended(out="\n".join(state["apis"]))
            case ["services", "enable"]:
                state["apis"] = sorted({*state["apis"], *call.names})
                raise Ended
            case ["run", "deploy"]:
                self._deploy(call, things)
            case ["run", "revisions", "list"]:
                revisions = things[f"services/{call.flags['--service']}"]["revisions"]
                raise Ended(out="\n".join(f"{name} ['{ready}']" for name, ready in reversed(revisions)))
            case ["logging", "read"]:
                raise Ended(out="" if self.trouble == "no cleanup" or not state["runs"] else "Nothing to do.")
            case ["scheduler", "jobs", "run"]:
                if call.key not in things:
                    call.not_found()
                state["runs"] += 1
                raise Ended
        if "iam-policy" in call.verb:
            self._policy(call, state)
        if call.kind == "versions":
            self._version_of_a_secret(call, things)
        if call.kind in ("channels", "policies", "metrics"):
            self._monitoring(call, things)
        self._plain(call, things)

    def _version(self, form: str) -> NoReturn:
        if "alpha" in form:
            raise Ended(out="" if self.trouble == "no components" else "2025.06.20\t2025.06.20")
        raise Ended(out="400.0.0" if self.trouble == "old" else "528.0.0")

    def _plain(self, call: Call, things: dict[str, Any]) -> NoReturn:
        """What can be described, created, updated, and no more."""
        if call.verb == "create":
            if call.key in things:
                call.exists()
            if "made meanwhile" in self.trouble:
                things[call.key] = self._made(call)
                call.exists()
            if call.kind == "subnets" and f"networks/{call.flags['--network']}" not in things:
                call.fail(_NOT_FOUND["networks"].format(call.flags["--network"]))
            things[call.key] = self._made(call)
            raise Ended
        thing = things.get(call.key)
        if thing is None:
            call.not_found()
        match call.verb:
            case "describe":
                raise Ended(out=self._described(call, thing))
            case "update":
                things[call.key] = self._made(call)
            case "update-traffic":
                to = call.flags.get("--to-revisions")
                thing["latest"] = to is None
                thing["serving"] = to.partition("=")[0] if to else thing["revisions"][-1][0]
            case _:
                raise Ended(2, err=f"ERROR: (gcloud) Invalid choice: {call.command}")
        raise Ended

    def _made(self, call: Call) -> dict[str, Any]:
        made = {"name": call.names[0]} | {k: v for k, v in call.flags.items() if k != "--project"}
        return made | ({"address": "203.0.113.7"} if call.kind == "addresses" else {})

    def _described(self, call: Call, thing: dict[str, Any]) -> str:
        form = call.flags["--format"]
        if call.kind == "addresses":
            return str(thing["address"])
        if call.kind == "jobs":
            return str(thing["--description"])
        if call.kind != "services":
            return str(thing["name"])
        if "interlock-config" in form:
            last, ready = thing["revisions"][-1]
            return f"{thing['config']} {last} {last if ready else ''}"
        if "latestRevision" in form:
            return f"{'True' if thing['latest'] else ''} 100"
        return str(thing["serving"]) if "revisionName" in form else f"{self.functions}/{thing['name']}"

    def _policy(self, call: Call, state: dict[str, Any]) -> NoReturn:
        """Who has a role on a thing."""
        if call.kind != "projects" and call.key not in state["things"]:
            call.not_found()
        roles = state["policies"].setdefault(call.key, {})
        if call.verb == "get-iam-policy":
            wanted = dict(part.split("=", 1) for part in call.flags["--filter"].split(" AND "))
            only = wanted.get("bindings.members")
            members = roles.get(wanted["bindings.role"], [])
            raise Ended(out="\n".join(member for member in members if only in (None, member)))
        member, role = call.flags["--member"], call.flags["--role"]
        if call.verb == "remove-iam-policy-binding":
            roles[role].remove(member)
            raise Ended
        account = member.removeprefix("serviceAccount:").partition("@")[0]
        made = state["things"].get(f"service-accounts/{account}")
        if made is None or ("slow accounts" in self.trouble and "seen" not in made):
            if made is not None:
                made["seen"] = True
            call.fail(f"INVALID_ARGUMENT: Service account {account} does not exist.")
        roles[role] = sorted({*roles.get(role, []), member})
        raise Ended

    def _state(self, number: int) -> str:
        return "DISABLED" if number in self.disabled else "ENABLED"

    def _version_of_a_secret(self, call: Call, things: dict[str, Any]) -> NoReturn:
        name = call.flags.get("--secret", call.names[0])
        secret = things.get(f"secrets/{name}")
        if secret is None:
            call.fail(_NOT_FOUND["secrets"].format(name))
        stored = secret.setdefault("versions", [])
        match call.verb:
            case "list":
                numbers = range(len(stored), 0, -1)
                path = f"projects/1/secrets/{name}/versions"
                raise Ended(out="\n".join(f"{path}/{number} {self._state(number)}" for number in numbers))
            case "add":
                stored.append("" if self.trouble == "lost secrets" else call.stdin)
                raise Ended(out=f"projects/1/secrets/{name}/versions/{len(stored)}")
        value = Ended()
        value.out = stored[int(call.names[0]) - 1]
        raise value

    def _deploy(self, call: Call, things: dict[str, Any]) -> NoReturn:
        name = call.names[0]
        for part in call.flags["--set-secrets"].split(","):
            secret, _, number = part.partition("=")[2].partition(":")
            if len(things.get(f"secrets/{secret}", {}).get("versions", [])) < int(number):
                call.fail(f"Secret projects/1/secrets/{secret}/versions/{number} was not found")
        for needed in (
            "networks/interlock",
            "subnets/interlock",
            "nats/interlock",
            f"service-accounts/{name}",
        ):
            if needed not in things:
                call.fail(f"{needed} was not found")
        if not (CLONE[0] / call.flags["--source"] / "main.py").exists():
            call.fail("Build failed: missing main.py and GOOGLE_FUNCTION_SOURCE not specified")
        service = things.setdefault(f"services/{name}", {"name": name, "revisions": [], "latest": True})
        ready = self.trouble != "does not start"
        revision = f"{name}-{len(service['revisions']) + 1:05}"
        service["revisions"].append([revision, ready])
        service["flags"] = {k: v for k, v in call.flags.items() if k not in ("--project", "--labels")}
        service["config"] = call.flags["--labels"].partition("=")[2]
        if not ready:
            call.fail(f"Revision '{revision}' is not ready and cannot serve traffic.")
        if service["latest"]:
            service["serving"] = revision
        raise Ended

    def _monitoring(self, call: Call, things: dict[str, Any]) -> NoReturn:
        found = {key: value for key, value in things.items() if key.startswith(f"{call.kind}/")}
        match call.kind, call.verb:
            case "channels", "list":
                raise Ended(out="\n".join(f"{value['email']} {value['name']}" for value in found.values()))
            case "channels", "create":
                email = call.flags["--channel-labels"].partition("=")[2]
                name = f"projects/p/notificationChannels/{email}"
                things[f"channels/{email}"] = {"name": name, "email": email}
                raise Ended(out=name)
            case "metrics", "list":
                rows = (f"{key.partition('/')[2]} {value['description']}" for key, value in found.items())
                raise Ended(out="\n".join(rows))
            case "metrics", verb:
                if (verb == "create") is (call.key in things):
                    call.exists() if verb == "create" else call.not_found()
                things[call.key] = call.content("--config-from-file")
            case "policies", "list":
                labels = ((value["userLabels"], value["name"]) for value in found.values())
                raise Ended(
                    out="\n".join(f"{one['interlock']} {one['digest']} {name}" for one, name in labels)
                )
            case "policies", "create":
                policy = call.content("--policy-from-file")
                name = f"projects/p/alertPolicies/{len(found)}"
                things[f"policies/{name}"] = policy | {"name": name}
            case "policies", _:
                if f"policies/{call.names[0]}" not in things:
                    call.not_found()
                policy = call.content("--policy-from-file")
                things[f"policies/{call.names[0]}"] = policy | {"name": call.names[0]}
        raise Ended


class Server(socketserver.ThreadingTCPServer):
    """Answers the calls of the scripts; `cloud` is the project of the present test."""

    allow_reuse_address = True
    daemon_threads = True
    cloud: Cloud

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(socketserver.StreamRequestHandler):
    server: Server

    def handle(self) -> None:
        process, count = int(self._word()), int(self._word())
        argv = [self._word() for _ in range(count)]
        ended = self.server.cloud.serve(argv, self._word(), process)
        out, err = ended.out.encode(), ended.err.encode()
        with suppress(ConnectionError):  # whoever asked was killed
            self.wfile.write(f"{ended.status} {len(out)} {len(err)}\n".encode() + out + err)

    def _word(self) -> str:
        word = bytearray()
        while (byte := self.rfile.read(1)) not in (b"\0", b""):
            word += byte
        return word.decode()
