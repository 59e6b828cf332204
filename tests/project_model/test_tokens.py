"""Tokens and segments by themselves."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ghostd.project_model.lexicon import Lexicon
from ghostd.project_model.tokens import BREAKS, DEEPER, SAME, Indentation, split_line

LINES = st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=200)


@given(LINES)
def test_the_tokens_of_a_line_joined_are_the_line(line: str) -> None:
    assert "".join(split_line(line)) == line


@given(st.text(st.characters(codec="utf-8"), max_size=400))
def test_a_text_and_its_shape_have_one_character_for_each_token(text: str) -> None:
    tokens, shapes = Lexicon(None).texts(text, Indentation())
    assert len(tokens) == len(shapes)


@pytest.mark.parametrize(
    ("line", "tokens"),
    [
        ("if x in y:", ["if ", "x", " in ", "y", ":"]),
        ("a = foo(b, c)", ["a", " = ", "foo", "(", "b", ", ", "c", ")"]),
        ("notify(order)", ["notify", "(", "order", ")"]),
        ("x+=1", ["x", "+=", "1"]),
    ],
)
def test_operators_and_keywords_take_the_spaces_around_them(line: str, tokens: list[str]) -> None:
    assert split_line(line) == tokens


def test_indentation_counts_relative_to_the_lines_above() -> None:
    indentation = Indentation()
    steps = [indentation.step(width, False) for width in (0, 4, 4, 8, 0)]
    assert steps == [SAME, DEEPER, SAME, DEEPER, 3]
    assert all(step < BREAKS for step in steps)


def test_a_lexicon_gives_a_word_the_same_token_again() -> None:
    lexicon = Lexicon(None)
    first = lexicon.line("alpha = beta")
    assert lexicon.line("alpha = beta") == first
    assert lexicon.text(first) == "alpha = beta"


def test_the_fixed_tokens_have_no_text(tmp_path: Path) -> None:
    lexicon = Lexicon(None)
    assert [lexicon.word(token) for token in range(BREAKS)] == [""] * BREAKS
