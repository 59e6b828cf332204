"""What of a model's text is shown: golden cases, and right texts, which must pass unchanged."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ghostd
from ghostd.completion.chatter import code_of
from ghostd.completion.lexing import PLAIN, PYTHON, SCRIPT, syntax_of
from ghostd.completion.tidy import tidy

CASES: list[dict[str, Any]] = json.loads((Path(__file__).parents[1] / "data" / "tidy" / "cases.json").read_text())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_text_is_cut_to_what_belongs_at_the_cursor(case: dict[str, Any]) -> None:
    text = code_of(case["text"], "<CURSOR>") if case.get("chat") else case["text"]
    shown = tidy(text, case["prefix"], case["suffix"], syntax_of(None, Path(case["path"])))
    assert shown == case["shown"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_what_is_shown_is_not_cut_again(case: dict[str, Any]) -> None:
    syntax = syntax_of(None, Path(case["path"]))
    assert tidy(case["shown"], case["prefix"], case["suffix"], syntax) == case["shown"]


def test_there_are_cases_enough() -> None:
    assert len(CASES) >= 120


def holes(texts: list[str], count: int, seed: int) -> Iterator[tuple[str, str, str]]:
    """Places anywhere in real files, and what stands there: part of a line, its rest, or lines."""
    chance = random.Random(seed)
    while count:
        text = chance.choice(texts)
        at = chance.randrange(len(text))
        end = text.find("\n", at)
        for _ in range(chance.choice((0, 0, 0, 1, 3, 6))):
            end = text.find("\n", end + 1) if end >= 0 else end
        if chance.random() < 0.3:
            end = min(end, at + chance.randrange(1, 40))
        middle = text[at : max(end, at)]
        if middle.strip() and middle == middle.rstrip():
            count -= 1
            yield text[:at], middle, text[end:]


def test_the_right_text_passes_unchanged() -> None:
    texts = [path.read_text() for path in sorted(Path(ghostd.__file__).parent.rglob("*.py"))]
    texts = [text for text in texts if len(text) > 500]
    changed = [hole for hole in holes(texts, 1000, seed=5) if tidy(hole[1], hole[0], hole[2], PYTHON) != hole[1]]
    assert len(changed) <= 10, changed


@given(st.text(), st.text(), st.text(), st.sampled_from((PLAIN, PYTHON, SCRIPT)))
def test_any_text_is_taken(text: str, prefix: str, suffix: str, syntax: Any) -> None:
    tidy(code_of(text, "<CURSOR>"), prefix, suffix, syntax)
