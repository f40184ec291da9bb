"""Runs under gcloud's own Python: commands as JSON by standard input, each exit status by standard output.

`gcloud` itself takes a second to start, so all commands go through one process, by the same entry point.
"""
# mypy: ignore-errors

import contextlib
import io
import json
import sys

sys.path[0:0] = [sys.argv[1], f"{sys.argv[1]}/third_party"]

from googlecloudsdk import gcloud_main  # noqa: E402 - found only now

cli = gcloud_main.CreateCLI([])
statuses = []
for argv in json.load(sys.stdin):
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            cli.Execute(argv)
        statuses.append(0)
    except SystemExit as left:
        statuses.append(left.code)
print(json.dumps(statuses))  # noqa: T201
