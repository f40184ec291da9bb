"""Every distinct command of the script through gcloud's own parser, where gcloud is installed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.cloud import Deployment

PARSER = Path(__file__).parent / "gcloud_parser.py"
NEED_NO_ACCOUNT = {"version", "auth"}


def _installed() -> Path | None:
    """The folder of the Google Cloud CLI on this machine."""
    found = shutil.which("gcloud")
    root = Path(found).resolve().parents[1] if found else None
    return root if root is not None and (root / "lib" / "googlecloudsdk").is_dir() else None


def _shape(argv: list[str]) -> str:
    """Two commands that differ in a number, a name or a digest alone are one to the parser."""
    return re.sub(r"[0-9a-f]{32}|\d+|interlock[-_][a-z_-]+|(metric|alert)-\w+", "*", " ".join(argv))


def test_every_command_parses(
    deployed: Deployment, after_a_first_run: dict[str, Any], tmp_path: Path
) -> None:
    """Without an account gcloud exits 1 once the flags are parsed, and 2 for a flag that it does not know."""
    root = _installed()
    if root is None:
        pytest.skip("gcloud is not on this machine: no command was passed through its parser")
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
    asked = [*distinct, ["run", "deploy", "x", "--no-such-flag"]]
    python = root / "platform" / "bundledpythonunix" / "bin" / "python3"
    told = subprocess.run(
        [python if python.exists() else "python3", "-S", PARSER, root / "lib"],
        cwd=deployed.clone,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "CLOUDSDK_CONFIG": str(tmp_path),
            "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        },
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=True,
    )
    statuses = json.loads(told.stdout.splitlines()[-1])
    assert statuses.pop() == 2, "the parser takes anything"
    expected = [0 if argv[0] in NEED_NO_ACCOUNT else 1 for argv in distinct]
    refused = [
        " ".join(argv)
        for argv, status, right in zip(distinct, statuses, expected, strict=True)
        if status != right
    ]
    assert refused == [], told.stderr[-2000:]


def _a_policy(folder: Path) -> Path:
    file = folder / "policy.json"
    file.write_text('{"displayName": "any"}')
    return file
