"""Runs under gcloud's own Python: asked by JSON on standard input, answers by JSON on standard output.

For commands it answers the exit status of each: `gcloud` takes a second to start, so all go through one
process, by the same entry point. For formats, what each prints of resources that were flattened and filtered.
"""
# mypy: ignore-errors

import contextlib
import io
import json
import sys

sys.path[0:0] = [sys.argv[1], f"{sys.argv[1]}/third_party"]

from googlecloudsdk import gcloud_main  # noqa: E402 - found only now
from googlecloudsdk.calliope import display_taps  # noqa: E402 - likewise
from googlecloudsdk.core.resource import resource_filter, resource_printer  # noqa: E402 - likewise
from googlecloudsdk.core.util import peek_iterable  # noqa: E402 - likewise


def status(cli, argv):
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            cli.Execute(argv)
    except SystemExit as left:
        return left.code
    return 0


def printed(flags, resources):
    key = []
    for part in flags.get("--flatten", "").split("[]."):
        key = [*key, part] if part else key
        if key:
            resources = list(peek_iterable.Tapper(resources, display_taps.Flattener(key)))
    if "--filter" in flags:
        resources = list(filter(resource_filter.Compile(flags["--filter"]).Evaluate, resources))
    out = io.StringIO()
    resource_printer.Print(resources, flags["--format"], out=out)
    return out.getvalue()


asked = json.load(sys.stdin)
if "commands" in asked:
    cli = gcloud_main.CreateCLI([])
    told = [status(cli, argv) for argv in asked["commands"]]
else:
    told = [printed(flags, resources) for flags, resources in asked["formats"]]
print(json.dumps(told))  # noqa: T201 - the answer
