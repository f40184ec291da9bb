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


_ALL = (*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").glob("*.md"))


def _anchors(document: Path) -> set[str]:
    """The headings as GitHub names them in an address."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", _ALL, ids=lambda path: path.name)
def test_every_link_leads_somewhere(document: Path) -> None:
    """A relative link names a file that is there, and a heading that is in it."""
    broken = []
    for link in re.findall(r"\]\((?!\w+:)([^)\s]+)\)", document.read_text()):
        path, _, anchor = link.partition("#")
        target = (document.parent / path) if path else document
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("document", _ALL, ids=lambda path: path.name)
def test_every_test_that_is_named_exists(document: Path) -> None:
    """A document calls nothing as a witness that is not there."""
    named = set(re.findall(r"(test_\w+\.py)::(?:\w+::)?(test_\w+)", document.read_text()))
    there = {
        (path.name, test)
        for path in (REPOSITORY / "tests").rglob("test_*.py")
        for test in re.findall(r"def (test_\w+)\(", path.read_text())
    }
    assert named - there == set()


def test_every_line_of_the_checklist_has_a_witness() -> None:
    """A line of the guide is shown by a test that is there, or by a command that anybody can run."""
    text = (REPOSITORY / "docs" / "HARDENING.md").read_text()
    checklist = text[text.index("## The guide's checklist") : text.index("## The checks before an order")]
    rows = re.findall(r"^\| (?!\*\*|-|line of the guide)(.+) \|$", checklist, re.MULTILINE)
    assert len(rows) == 42
    shown = r"`test_\w+\.py::test_\w+`|`(make|select|gcloud) [^`]+`"
    assert [row for row in rows if not re.search(shown, row.rpartition(" | ")[2])] == []


def test_links_and_names_are_found_at_all() -> None:
    """The tests above look at something."""
    assert (REPOSITORY / "docs" / "THREATS.md").read_text().count(".py::test_") > 30
    assert "rotate" in _anchors(REPOSITORY / "docs" / "OPERATIONS.md")
    assert sum(document.read_text().count("](") for document in _ALL) > 20
