"""Every distinct command of the script through gcloud's own parser, where gcloud is installed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.cloud import Deployment
from tests.deploy.stand_in import CLONE

PARSER = Path(__file__).parent / "gcloud_parser.py"
MEMBERS = {
    "bindings": [
        {"role": "roles/a", "members": ["serviceAccount:x@y", "user:z@y"]},
        {"role": "roles/b", "members": ["user:z@y"]},
    ]
}
READY, RETIRED = ({"type": "Ready", "status": "True"}, {"type": "Active", "status": "False"})
SERVICE = {
    "metadata": {"labels": {"interlock-config": "digest"}},
    "status": {
        "url": "https://service",
        "latestCreatedRevisionName": "r-2",
        "latestReadyRevisionName": "r-1",
        "traffic": [{"revisionName": "r-1", "percent": 100, "latestRevision": True}],
    },
}
PRINTED = {
    "value(bindings.members)": (MEMBERS, None),
    'value[separator=" "](metadata.labels.interlock-config,status.latestCreatedRevisionName,'
    "status.latestReadyRevisionName)": (SERVICE, "digest r-2 r-1"),
    'value[separator=" "](status.traffic[0].latestRevision,status.traffic[0].percent)': (SERVICE, "True 100"),
    "value(status.traffic[0].revisionName)": (SERVICE, "r-1"),
    "value(status.url)": (SERVICE, "https://service"),
    'value[separator=" "](metadata.name,status.conditions.filter(type:Ready).extract(status))': (
        {"metadata": {"name": "r-1"}, "status": {"conditions": [RETIRED, READY]}},
        "r-1 ['True']",
    ),
    'value[separator=" "](name,state)': (
        {"name": "a/versions/3", "state": "ENABLED"},
        "a/versions/3 ENABLED",
    ),
    'value[separator=" "](name,description)': (
        {"name": "interlock_a", "description": "b [c]"},
        "interlock_a b [c]",
    ),
    'value[separator=" "](userLabels.interlock,userLabels.digest,name)': (
        {"name": "a/1", "userLabels": {"interlock": "b", "digest": "c"}},
        "b c a/1",
    ),
    'value[separator=" "](labels.email_address,name)': (
        {"name": "a/1", "labels": {"email_address": "b@c"}},
        "b@c a/1",
    ),
    "value(config.name)": ({"config": {"name": "run.googleapis.com"}}, "run.googleapis.com"),
    "value(jsonPayload.message)": ({"jsonPayload": {"message": "Nothing, 1"}}, "Nothing, 1"),
    "value(address)": ({"address": "203.0.113.7"}, "203.0.113.7"),
    "value(account)": ({"account": "a@b"}, "a@b"),
    "value(billingEnabled)": ({"billingEnabled": False}, "False"),
    "value(description)": ({"description": "Interlock a"}, "Interlock a"),
    "value(email)": ({"email": "a@b"}, "a@b"),
    "value(name)": ({"name": "a"}, "a"),
    "value(projectNumber)": ({"projectNumber": "1"}, "1"),
    "value(alpha,beta)": ({"alpha": "1", "beta": "2"}, "1\t2"),
    'value("Google Cloud SDK")': ({"Google Cloud SDK": "528.0.0"}, "528.0.0"),
}
"""Each format of the script, with a resource as the cloud has it and what the script reads of it."""
NEED_NO_ACCOUNT = {"version", "auth"}


def _installed() -> Path | None:
    """The folder of the Google Cloud CLI on this machine."""
    found = shutil.which("gcloud")
    root = Path(found).resolve().parents[1] if found else None
    return root if root is not None and (root / "lib" / "googlecloudsdk").is_dir() else None


def _shape(argv: list[str]) -> str:
    """Two commands that differ in a number, a name or a digest alone are one to the parser."""
    return re.sub(r"[0-9a-f]{32}|\d+|interlock[-_][a-z_-]+|(metric|alert)-\w+", "*", " ".join(argv))


@pytest.fixture(scope="module")
def root() -> Path:
    """Where gcloud is installed."""
    found = _installed()
    if found is None:
        pytest.skip("gcloud is not on this machine: no command was passed through its parser")
    return found


def _ask(root: Path, folder: Path, asked: Mapping[str, object]) -> list[Any]:
    python = root / "platform" / "bundledpythonunix" / "bin" / "python3"
    told = subprocess.run(
        [python if python.exists() else "python3", "-S", PARSER, root / "lib"],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "CLOUDSDK_CONFIG": str(folder),
            "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        },
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=True,
        cwd=CLONE[0],
    )
    answers: list[Any] = json.loads(told.stdout.splitlines()[-1])
    return answers


def test_every_command_parses(
    root: Path, deployed: Deployment, after_a_first_run: dict[str, Any], tmp_path: Path
) -> None:
    """Without an account gcloud exits 1 once the flags are parsed, and 2 for a flag that it does not know."""
    deployed.settings |= {"ACCESS_WINDOW_MS": "4000", "OPENAI_API_KEY": "another-canary"}
    second = deployed.run("--live", typed="interlock-test")
    third = deployed.run("--roll-back")
    assert (second.status, third.status) == (0, 0)
    distinct = list(
        {_shape(argv): argv for argv in [*after_a_first_run["calls"], *deployed.cloud.calls]}.values()
    )
    assert len(distinct) > 40
    # The parser reads the files that a command names.
    for argv in distinct:
        for at, part in enumerate(argv):
            if re.match(r"--(config|policy)-from-file=", part):
                argv[at] = f"{part.partition('=')[0]}={_a_policy(tmp_path)}"
    statuses = _ask(root, tmp_path, {"commands": [*distinct, ["run", "deploy", "x", "--no-such-flag"]]})
    assert statuses.pop() == 2, "the parser takes anything"
    expected = [0 if argv[0] in NEED_NO_ACCOUNT else 1 for argv in distinct]
    refused = [
        " ".join(argv)
        for argv, status, right in zip(distinct, statuses, expected, strict=True)
        if status != right
    ]
    assert refused == []


def test_every_format_prints_what_the_script_reads(
    root: Path, after_a_first_run: dict[str, Any], tmp_path: Path
) -> None:
    """gcloud's own printer, on resources as the cloud has them, gives what the stand-in gives."""
    used = {
        part.partition("=")[2]
        for argv in after_a_first_run["calls"]
        for part in argv
        if part.startswith("--format=")
    }
    assert used <= PRINTED.keys()
    flags = [{"--format": form} for form in PRINTED]
    printed = _ask(root, tmp_path, {"formats": [[one, [PRINTED[one["--format"]][0]]] for one in flags[1:]]})
    assert printed == [f"{PRINTED[one['--format']][1]}\n" for one in flags[1:]]
    who = {"--flatten": "bindings[].members", "--format": "value(bindings.members)"}
    one_role = who | {"--filter": "bindings.role=roles/a"}
    one_member = who | {"--filter": "bindings.role=roles/a AND bindings.members=serviceAccount:x@y"}
    assert _ask(root, tmp_path, {"formats": [[one_role, [MEMBERS]], [one_member, [MEMBERS]]]}) == [
        "serviceAccount:x@y\nuser:z@y\n",
        "serviceAccount:x@y\n",
    ]


def _a_policy(folder: Path) -> Path:
    file = folder / "policy.json"
    file.write_text('{"displayName": "any"}')
    return file
