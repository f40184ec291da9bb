"""What the deployed code cannot do, because the code for it is not there."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

REPOSITORY = Path(__file__).resolve().parents[2]
SENDS = {"_send", "send", "request", "build_request", "stream", "post", "put", "patch"}
"""What clients call the methods that send a request."""


def _deployed() -> Iterator[tuple[str, ast.AST]]:
    for folder in ("functions", "shared"):
        for path in sorted((REPOSITORY / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                yield str(path.relative_to(REPOSITORY)), node


def is_post(node: ast.AST) -> bool:
    """Does this call send a POST?"""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in SENDS
        and (
            node.func.attr == "post"
            or any(isinstance(part, ast.Constant) and part.value == "POST" for part in node.args)
        )
    )


def _posts() -> list[tuple[str, str]]:
    """Each call that sends a POST: the file, and its text."""
    return [(file, ast.unparse(node)) for file, node in _deployed() if is_post(node)]


def test_an_order_is_placed_in_one_line_of_the_deployed_code() -> None:
    """The only POST to the exchange stands in execute; the other one is the notification."""
    (order, notification) = _posts()
    assert order[0] == "functions/execute/exchange.py"
    assert order[1].startswith("self._send('POST', '/order', body=body")
    assert notification[0] == "shared/notify.py"


def test_only_scan_tick_imports_the_models_library() -> None:
    """No other function has a way to the model."""
    importing = {
        file
        for file, node in _deployed()
        if (isinstance(node, ast.Import) and any(name.name.startswith("openai") for name in node.names))
        or (isinstance(node, ast.ImportFrom) and (node.module or "").startswith("openai"))
    }
    assert importing
    assert all(file.startswith("functions/scan_tick/") for file in importing)


def test_scan_tick_never_reads_the_trade_keys() -> None:
    """The setting that holds the trade pair is used by execute and cleanup alone."""
    using = {
        file.split("/")[1]
        for file, node in _deployed()
        if file.startswith("functions/") and isinstance(node, ast.Attribute) and node.attr == "trade_keys"
    }
    assert using == {"execute", "cleanup"}
