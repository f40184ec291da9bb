"""The mutants fit the code of today; whether they are caught is what `make mutants` shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.mutants.catalog import PROMISES, InCode, Mutant, in_code, in_database

pytestmark = pytest.mark.unit

_REPOSITORY = Path(__file__).resolve().parents[2]
_ALL: list[Mutant] = [*in_database(), *in_code()]


@pytest.mark.parametrize("mutant", _ALL, ids=lambda mutant: mutant.name)
def test_a_mutant_names_a_promise_and_tests_that_exist(mutant: Mutant) -> None:
    """Otherwise nobody could say what it shows."""
    assert mutant.keeps in PROMISES
    assert mutant.tests
    for test in mutant.tests:
        file, _, name = test.partition("::")
        function = re.sub(r"\[.*", "", name.rpartition("::")[2])
        text = (_REPOSITORY / file).read_text()
        assert not function or f"def {function}(" in text


@pytest.mark.parametrize("mutant", in_code(), ids=lambda mutant: mutant.name)
def test_a_mutant_of_the_code_applies(mutant: InCode) -> None:
    """What it replaces stands in the code exactly once."""
    text = (_REPOSITORY / mutant.file).read_text()
    assert [text.count(old) for old, _ in mutant.replacements] == [1] * len(mutant.replacements)


def test_every_promise_has_a_mutant_and_no_name_is_used_twice() -> None:
    """A name is what the command takes."""
    assert {mutant.keeps for mutant in _ALL} == set(PROMISES)
    assert len({mutant.name for mutant in _ALL}) == len(_ALL)
