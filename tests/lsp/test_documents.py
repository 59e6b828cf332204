"""Our text document against a naive one, in all three position encodings."""

from __future__ import annotations

import re
import tracemalloc
from pathlib import Path
from typing import get_args

import pytest
from ghostd_lsp.documents import MAX_LINE_CHARS, Document
from ghostd_lsp.params import ContentChange, Position, Range
from ghostd_lsp.positions import Encoding, choose_encoding, split_lines, unit_count
from hypothesis import given, settings
from hypothesis import strategies as st

ENCODINGS: tuple[Encoding, ...] = get_args(Encoding)
CHARACTERS = "ab\n\r\t é€😀𝒳́\f\v\x85\u2028\u2029\ufeff\x1c"
texts = st.text(st.sampled_from(CHARACTERS), max_size=30)
positions = st.builds(Position, st.integers(0, 12), st.integers(0, 20))
changes = st.builds(ContentChange, texts, st.one_of(st.none(), st.builds(Range, positions, positions)))


def document(text: str, encoding: Encoding = "utf-16", max_bytes: int = 10**9) -> Document:
    made = Document("file:///a.py", Path("/a.py"), "python", 1, encoding, max_bytes)
    made.replace_all(text)
    return made


def insert(line: int, character: int, text: str) -> ContentChange:
    return ContentChange(text, Range(Position(line, character), Position(line, character)))


def naive_units(character: str, encoding: Encoding) -> int:
    return {
        "utf-8": len(character.encode()),
        "utf-16": len(character.encode("utf-16-le")) // 2,
        "utf-32": 1,
    }[encoding]


def naive_offset(text: str, position: Position, encoding: Encoding) -> int:
    """Counts characters one by one from the start of the text."""
    starts = [0] + [match.end() for match in re.finditer(r"\r\n|\n|\r", text)]
    if position.line >= len(starts):
        return len(text)
    offset, units = starts[position.line], 0
    while offset < len(text) and text[offset] not in "\r\n":
        units += naive_units(text[offset], encoding)
        if units > position.character:
            break
        offset += 1
    return offset


def naive_change(text: str, change: ContentChange, encoding: Encoding) -> str:
    if change.range is None:
        return change.text
    start, end = sorted(naive_offset(text, edge, encoding) for edge in (change.range.start, change.range.end))
    return text[:start] + change.text + text[end:]


@pytest.mark.parametrize("encoding", ENCODINGS)
@settings(max_examples=300, deadline=None)
@given(text=texts, edits=st.lists(changes, max_size=6))
def test_edits_give_the_same_text_as_a_naive_document(
    encoding: Encoding, text: str, edits: list[ContentChange]
) -> None:
    """LSP 3.18, "Text Documents": what counts as a line end, and positions beyond a line's length."""
    subject = document(text, encoding)
    for each in edits:
        subject.change([each], None)
        text = naive_change(text, each, encoding)
        assert subject.text() == text
        assert list(subject.snapshot().lines) == split_lines(text)


@pytest.mark.parametrize("encoding", ENCODINGS)
@settings(max_examples=200, deadline=None)
@given(text=texts, position=positions)
def test_a_position_splits_the_text_where_a_naive_document_does(
    encoding: Encoding, text: str, position: Position
) -> None:
    snapshot = document(text, encoding).snapshot()
    line, char = snapshot.clamp(position)
    offset = naive_offset(text, position, encoding)
    assert (snapshot.before(line, char), snapshot.after(line, char)) == (text[:offset], text[offset:])


@pytest.mark.parametrize("encoding", ENCODINGS)
@settings(max_examples=100, deadline=None)
@given(text=texts)
def test_every_character_has_a_position_that_leads_back_to_it(encoding: Encoding, text: str) -> None:
    snapshot = document(text, encoding).snapshot()
    for line, content in enumerate(snapshot.lines):
        for char in range(len(content.rstrip("\r\n")) + 1):
            assert snapshot.clamp(snapshot.position(line, char)) == (line, char)


def test_only_newline_and_carriage_return_end_a_line() -> None:
    assert split_lines("a\nb\r\nc\rd\fe\vf\x85g\u2028h\x1ci") == ["a\n", "b\r\n", "c\r", "d\fe\vf\x85g\u2028h\x1ci"]
    assert split_lines("") == [""]
    assert split_lines("\r\r\n") == ["\r", "\r\n", ""]


def test_the_first_encoding_that_both_sides_know_is_taken() -> None:
    """LSP 3.18, `general.positionEncodings`: the client's order is its preference."""
    assert choose_encoding(["utf-32", "utf-8"]) == "utf-32"
    assert choose_encoding(["utf-7", "utf-8", "utf-16"]) == "utf-8"
    assert choose_encoding([]) == "utf-16"


def test_a_lone_surrogate_counts_like_the_replacement_character() -> None:
    subject = document("a\ud800b", "utf-16")
    subject.change([insert(0, 2, "x\udfff")], 2)
    assert subject.text() == "a\ufffdx\ufffdb"
    assert unit_count("\ufffd", "utf-16") == 1


def test_a_position_inside_a_character_is_its_start() -> None:
    subject = document("😀b", "utf-16")
    subject.change([insert(0, 1, "a")], 2)
    assert subject.text() == "a😀b"


def test_a_backward_range_is_turned_around() -> None:
    subject = document("one two")
    subject.change([ContentChange("_", Range(Position(0, 4), Position(0, 3)))], 2)
    assert subject.text() == "one_two"


def test_a_change_older_than_the_document_is_not_applied() -> None:
    subject = document("a")
    assert subject.change([insert(0, 1, "b")], 5)
    assert not subject.change([insert(0, 0, "x")], 4)
    assert (subject.text(), subject.version) == ("ab", 5)


def test_a_snapshot_does_not_see_later_changes() -> None:
    subject = document("a\nb\n")
    before = subject.snapshot()
    subject.change([insert(1, 1, "c\nd")], 2)
    assert before.lines == ("a\n", "b\n", "")
    assert subject.snapshot().lines == ("a\n", "bc\n", "d\n", "")
    assert subject.revision != before.revision


def test_ten_thousand_changes_in_one_notification_touch_one_line_each() -> None:
    """Typing in the middle of a long file: the text is right, and each change sees the one before it."""
    subject = document("line\n" * 20_000)
    subject.change([insert(10_000, number, "x") for number in range(10_000)], 2)
    assert subject.snapshot().lines[10_000] == "x" * 10_000 + "line\n"


def test_text_over_the_limit_is_dropped_until_the_whole_document_comes_again() -> None:
    subject = document("é" * 5, max_bytes=12)
    steps = [insert(0, 5, "é"), insert(0, 0, "é"), insert(0, 0, "x"), ContentChange("small")]
    seen = []
    for step in steps:
        subject.change([step], None)
        seen.append((subject.text(), subject.too_large))
    assert seen == [("éééééé", False), ("", True), ("", True), ("small", False)]


def test_a_document_that_shrinks_again_under_the_limit_within_one_change_counts_each_byte_once() -> None:
    subject = document("ab\ncd\n", max_bytes=10)
    for _ in range(5):
        subject.change([insert(0, 0, "éé"), ContentChange("", Range(Position(0, 0), Position(0, 2)))], None)
    assert (subject.text(), subject.too_large) == ("ab\ncd\n", False)


def test_a_very_long_line_counts_as_too_large() -> None:
    assert document("x" * (MAX_LINE_CHARS + 1)).too_large
    assert not document("x" * MAX_LINE_CHARS).too_large


def test_a_document_far_above_the_limit_is_not_split_into_lines() -> None:
    text = "x = 1\n" * 500_000
    subject = document("", max_bytes=1000)
    subject.replace_all("a\n")
    tracemalloc.start()
    try:
        subject.replace_all(text)
        subject.change([insert(0, 0, text)], 2)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert subject.too_large
    assert peak < len(text)
    subject.replace_all("a\n")
    subject.change([insert(0, 0, text)], 3)
    assert subject.too_large
    subject.replace_all("b\n")
    assert (subject.text(), subject.too_large) == ("b\n", False)
