"""The part of a file that a fill prompt quotes."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from ghostd.completion.window import ANCHOR_LINES, CHARS_PER_TOKEN, quotable, window
from ghostd.types import OpenDocument


@given(prefix=st.text(), suffix=st.text(), budget=st.integers(1, 400))
def test_a_window_is_around_the_cursor_and_fits(prefix: str, suffix: str, budget: int) -> None:
    before, after = window(prefix, suffix, budget)
    assert prefix.endswith(before)
    assert suffix.startswith(after)
    assert len(before) + len(after) <= max(budget * CHARS_PER_TOKEN, 64)


def test_a_short_file_is_quoted_whole() -> None:
    assert window("a\nb", "c\nd", 1000) == ("a\nb", "c\nd")


def test_the_windows_start_moves_seldom() -> None:
    lines = [f"line {number} of the file\n" for number in range(2000)]
    starts = {window("".join(lines[:end]), "", 2000)[0].split("\n", 1)[0] for end in range(1000, 1400)}
    assert len(starts) <= 400 // ANCHOR_LINES + 2
    for start in starts:
        assert int(start.split()[1]) % ANCHOR_LINES == 0


def test_documents_that_fit_beside_the_window_are_quoted_the_first_one_last() -> None:
    documents = [OpenDocument(Path(f"src/{name}.py"), name * 50) for name in "abc"]
    assert quotable(documents, "", "", 1000) == [("c.py", "c" * 50), ("b.py", "b" * 50), ("a.py", "a" * 50)]
    assert quotable(documents, "", "", 60) == [("b.py", "b" * 50), ("a.py", "a" * 50)]
    assert quotable(documents, "x" * 140, "", 60) == []
