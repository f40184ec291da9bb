"""The documents say what the code says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from local.documents import DOCUMENTS, REPOSITORY, TABLES, rendered

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_the_tables_are_as_the_code_has_them(document: Path) -> None:
    """A table made from code is current; `make docs` writes it anew."""
    assert rendered(document.read_text()) == document.read_text()


def test_every_table_stands_in_a_document() -> None:
    """No table is made that nobody reads."""
    text = "".join(document.read_text() for document in DOCUMENTS)
    assert {name for name in TABLES if f"<!-- {name} -->" in text} == set(TABLES)


@pytest.mark.parametrize(
    "document",
    [
        *(REPOSITORY / "README.md", REPOSITORY / "docs" / "OPERATIONS.md"),
        *(REPOSITORY / "docs" / "BITVAVO_KEY_SEPARATION.md", *DOCUMENTS),
    ],
    ids=lambda path: path.name,
)
def test_every_file_that_is_named_exists(document: Path) -> None:
    """A document names no file that is not there."""
    named = re.findall(r"`((?:tests|functions|shared|local|supabase|docs)/[\w./]*)`", document.read_text())
    assert named
    assert [name for name in named if not (REPOSITORY / name).exists()] == []
