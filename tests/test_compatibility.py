"""docs/compatibility.md is what the tests' marks make it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import compatibility
import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
@pytest.mark.representative
@pytest.mark.timeout(300)
def test_the_page_is_what_the_marks_make_it(tmp_path: Path) -> None:
    """All tests are collected once more: the marks of those that are not part of this run count, too."""
    written = tmp_path / "compatibility.md"
    code = f"import compatibility, pathlib, pytest, sys; compatibility.PAGE = pathlib.Path({str(written)!r}); " + (
        "sys.exit(pytest.main(['tests', '--collect-only', '-q', '--write-compatibility', '-p', 'no:cacheprovider']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, 'tests'); {code}"],
        cwd=ROOT, capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert compatibility.PAGE.read_text("utf-8") == written.read_text("utf-8"), "write it anew (its head says how)"


@dataclass(frozen=True, slots=True)
class Item:
    """A test with one mark."""

    mark: pytest.MarkDecorator
    nodeid: str = "test_x"

    def iter_markers(self, name: str) -> Iterator[pytest.Mark]:
        assert name == "covers"
        yield self.mark.mark


covers = pytest.mark.covers


@pytest.mark.parametrize(
    ("mark", "words"),
    [
        (covers("openai.chatt"), "none of openai.chat"),
        (covers("openai.chat", "n", state="nearly"), "none of served"),
        (covers("openai.chat", "n", behind="acme"), "none of openai"),
    ],
)
def test_a_mark_that_cannot_be_right_is_told(mark: pytest.MarkDecorator, words: str) -> None:
    with pytest.raises(pytest.UsageError, match=words):
        compatibility.cells([Item(mark)])


def test_two_tests_that_disagree_are_told() -> None:
    agreed = Item(covers("openai.chat", "n"))
    assert set(compatibility.cells([agreed, agreed]).values()) == {"served"}
    with pytest.raises(pytest.UsageError, match="another test says served"):
        compatibility.cells([agreed, Item(covers("openai.chat", "n", behind="local", state="refused"))])


def test_the_page_has_a_row_for_each_parameter_and_a_column_for_each_service() -> None:
    cell = compatibility.Cell
    found = {
        cell("openai.chat", "tools", "anthropic"): "translated",
        cell("openai.chat", "", "openai"): "passed on",
        cell("openai.chat", "", "anthropic"): "translated",
    }
    rows = [line for line in compatibility.page(found).splitlines() if line.startswith("|")][-3:]
    assert rows[1:] == [
        "| *the call* | passed on | translated |  |  |  |",
        "| `tools` |  | translated |  |  |  |",
    ]
