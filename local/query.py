"""``make sql``: SQL from standard input, run on DATABASE_URL as one transaction, and what it answered.

What the dashboard's SQL editor does, for a terminal. Nothing of it is kept when a statement fails.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence

import psycopg
from psycopg.types.json import set_json_loads
from rich.console import Console
from rich.table import Table

_COLUMNS = 6
"""More of them are told row by row."""


def main() -> None:
    """Run it; a failure is what the database said, and exit 1."""
    url = os.environ.get("DATABASE_URL")
    if not url:
        sys.exit("make sql: DATABASE_URL is not set. Beside make serve: . .local/serve.env")
    set_json_loads(lambda text: text if isinstance(text, str) else text.decode())
    console = Console(highlight=False, markup=False, emoji=False)
    try:
        with psycopg.connect(url) as connection:
            cursor = connection.execute(sys.stdin.buffer.read())
            while True:
                _show(console, cursor)
                if not cursor.nextset():
                    break
    except psycopg.Error as error:
        detail = error.diag.message_detail
        sys.exit(
            f"make sql: {str(error.diag.message_primary or error).strip()}{f': {detail}' if detail else ''}"
        )


def _show(console: Console, cursor: psycopg.Cursor[tuple[object, ...]]) -> None:
    """A table of the rows, or what is too wide for one row by row; nothing for a statement without rows."""
    if cursor.description is None:
        return
    names, rows = [column.name for column in cursor.description], cursor.fetchall()
    as_table = len(names) <= _COLUMNS and len(rows) != 1
    if as_table and rows:
        console.print(_table(names, rows))
    else:
        for row in rows:
            console.print(_table(None, list(zip(names, row, strict=True))))
    console.print(f"({len(rows)} {'row' if len(rows) == 1 else 'rows'})")


def _table(heads: list[str] | None, rows: Sequence[tuple[object, ...]]) -> Table:
    table = Table(
        *heads or (), box=None, padding=(0, 2, 0, 0), header_style="dim", show_header=heads is not None
    )
    for row in rows:
        table.add_row(*map(_text, row))
    return table


def _text(value: object) -> str:
    if isinstance(value, str) and value[:1] in "{[":
        try:
            return json.dumps(json.loads(value), indent=2, ensure_ascii=False)
        except ValueError:
            return value
    return "" if value is None else str(value)


if __name__ == "__main__":
    main()
