"""A reader who follows the documents: a clone of their own, two terminals, and what they have seen so far."""

from __future__ import annotations

import json
import os
import re
import shutil
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import httpx
import psycopg

from local.stack import REPOSITORY
from tests.documents.blocks import Block
from tests.documents.terminal import Terminal
from tests.worker import wait_until

PATIENCE_S = 120.0
_NOT_CLONED = (".*", "__pycache__", "tests", "bench", "docs", "node_modules", "deploy.env")
_LEARNED = {
    "PASSWORD": r"password +(\S+)",
    "PROPOSAL": r"proposal +([0-9a-f]{8}) ",
    "FINGERPRINT": r"and key ([0-9a-f]{16});",
    "EXECUTION": r"execution ([0-9a-f-]{36})",
}


class Reader:
    """Copies one block after the other. A word in capitals is replaced by what was seen last."""

    def __init__(self, folder: Path) -> None:
        self.clone = folder / "interlock"
        shutil.copytree(REPOSITORY, self.clone, ignore=shutil.ignore_patterns(*_NOT_CLONED))
        (self.clone / ".local").mkdir()
        for installed in (".venv", "node_modules", ".local/uv"):
            (self.clone / installed).symlink_to(REPOSITORY / installed)
        (self.clone / "local" / "setup.sh").write_text("# Everything is installed.\n")
        self._exported = folder / "exported"
        self._exported.touch()
        self._environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "TERM": "xterm",
            "NO_COLOR": "1",
            "LANG": "C.UTF-8",
            "TZ": "UTC",
        }
        self._seen: dict[str, str] = {}
        self._open = ExitStack()
        self._serving: Terminal | None = None

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def start(self, block: Block) -> Terminal:
        """A block that goes on by itself, in a terminal of its own."""
        return self._open.enter_context(Terminal(block.commands, self.clone, self._environ))

    def serve(self, block: Block) -> str:
        """Start what serves and wait for its first proposal; whatever served before is stopped."""
        self.stop_serving()
        self._serving = self.start(block)
        self._serving.wait_for(r"scan_tick +1 scan was due: 1 proposed", PATIENCE_S)
        self._learn(self._serving.printed)
        return self._serving.printed

    def stop_serving(self) -> None:
        """Ctrl-C in the terminal that serves; nothing is left."""
        if self._serving is None:
            return
        self._serving.interrupt()
        self._serving.end(PATIENCE_S)
        assert "Nothing is left running." in self._serving.printed, self._serving.printed
        assert not (self.clone / ".local" / "serve.env").exists()
        self._serving = None

    def follow(self, block: Block, exit_code: int) -> str:
        """Run a block in the terminal that the ones before it were run in; what it printed."""
        commands = re.sub(r"\b[A-Z]{5,}\b", lambda word: self._seen.get(word[0], word[0]), block.commands)
        kept = f"trap 'declare -px >{self._exported}' EXIT\nset +u; . {self._exported}; set -u\n"
        answers = {"Password: ": self._seen.get("PASSWORD", ""), "[y/N] ": "y"}
        with Terminal(kept + commands, self.clone, self._environ, answers) as terminal:
            ended = terminal.end(PATIENCE_S)
        assert ended == exit_code, f"{block.place} ended with {ended}:\n{terminal.printed}"
        self._learn(terminal.printed)
        return terminal.printed

    def scan(self) -> None:
        """A minute passes, scan_tick runs, this one or the scheduled one, and a proposal is there."""
        self._post("SCAN_TICK_URL")
        with psycopg.connect(self._exports("DATABASE_URL"), autocommit=True) as database:
            pending = "select from public.trade_proposals where status = 'PENDING'"
            wait_until(lambda: database.execute(pending).rowcount == 1)

    def clean_up(self) -> None:
        """Two minutes pass, as far as the comparison knows, and cleanup runs."""
        with psycopg.connect(self._exports("DATABASE_URL")) as database:
            database.execute(
                "update interlock.market_marks set asked_at = null, read_to = read_to - interval '2 minutes'"
            )
        self._post("CLEANUP_URL")

    def _post(self, name: str) -> None:
        httpx.post(self._exports(name), json={}, timeout=30.0, trust_env=False).raise_for_status()

    def _exports(self, name: str) -> str:
        found = re.search(rf'^declare -x {name}="(.*)"$', self._exported.read_text(), re.MULTILINE)
        assert found, f"{name} is not in the reader's shell"
        return found[1]

    def _learn(self, printed: str) -> None:
        for word, pattern in _LEARNED.items():
            if found := re.search(pattern, printed):
                self._seen[word] = found[1]
        if record := re.search(r"\[\{.*\}\]", printed):
            self._seen["ORDER"] = json.dumps(json.loads(record[0])[0]["order"])
