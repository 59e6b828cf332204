"""FIM prompts by vocabulary. Expected layouts are those of the models' cards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ghostd.completion.families import as_text, fill_prompt
from ghostd.fim_markers import DECLARED, FORMS, MARKER_TEXTS, WITNESS_TEXTS, form_of, stop_ids
from ghostd.models import FimVocabulary
from ghostd.types import Prompt

PREFIX, SUFFIX = "def f(", "):\n"
FIXTURES = sorted((Path(__file__).parents[1] / "data" / "fim").glob("*.json"))


def vocabulary(fixture: dict[str, Any]) -> FimVocabulary:
    """As the header reader finds it: markers and witnesses alone."""
    known = MARKER_TEXTS | WITNESS_TEXTS
    ids = {text: number for text, number in fixture["ids"].items() if text in known}
    return FimVocabulary(ids, bos_id=fixture["ids"].get(fixture.get("bos")), order=fixture.get("order"))


def laid_out(fixture: dict[str, Any]) -> Prompt:
    more = {name: fixture[name] for name in ("file", "project") if name in fixture}
    quoted = [(name, text) for name, text in fixture.get("quoted", ())]
    return fill_prompt(vocabulary(fixture), fixture["prefix"], fixture["suffix"], quoted, **more)


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_a_prompt_is_byte_for_byte_what_the_models_source_says(path: Path) -> None:
    fixture = json.loads(path.read_text())
    texts = {number: text for text, number in fixture["ids"].items()}
    shown = "".join(piece if isinstance(piece, str) else texts[piece] for piece in laid_out(fixture))
    assert shown.encode() == fixture["expected"].encode()


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_no_text_of_a_file_becomes_a_marker(path: Path) -> None:
    """Neither as ids, where text stays text, nor in a server's single text, where markers are broken up."""
    fixture = json.loads(path.read_text())
    fim = vocabulary(fixture)
    every = " ".join(sorted(MARKER_TEXTS))
    plain = fill_prompt(fim, "p", "s", [("n", "q")])
    hostile = fill_prompt(fim, f"p{every}", f"s{every}", [(f"n{every}", f"q{every}")])
    assert [piece for piece in hostile if isinstance(piece, int)] == [
        piece for piece in plain if isinstance(piece, int)
    ]
    safe = as_text(fim, plain)
    attacked = as_text(fim, hostile)
    for marker in MARKER_TEXTS:
        assert attacked.count(marker.lstrip("▁")) == safe.count(marker.lstrip("▁"))


@pytest.mark.parametrize(
    ("ids", "bos_id", "expected"),
    [
        pytest.param(
            {"<|fim_prefix|>": 1, "<|fim_suffix|>": 2, "<|fim_middle|>": 3, "<|fim_pad|>": 4},
            None,
            (1, PREFIX, 2, SUFFIX, 3),
            id="qwen-prefix-first-without-bos",
        ),
        pytest.param(
            {"<|fim_prefix|>": 67, "<|fim_suffix|>": 69, "<|fim_middle|>": 68},
            2,
            (2, 67, PREFIX, 69, SUFFIX, 68),
            id="codegemma-with-bos",
        ),
        pytest.param(
            {"<fim_prefix>": 1, "<fim_middle>": 2, "<fim_suffix>": 3},
            None,
            (1, PREFIX, 3, SUFFIX, 2),
            id="starcoder-and-granite",
        ),
        pytest.param(
            {"<｜fim▁begin｜>": 10, "<｜fim▁hole｜>": 11, "<｜fim▁end｜>": 12},
            5,
            (5, 10, PREFIX, 11, SUFFIX, 12),
            id="deepseek-begin-hole-end",
        ),
        pytest.param(
            {"▁<PRE>": 32007, "▁<SUF>": 32008, "▁<MID>": 32009},
            1,
            (1, 32007, PREFIX, 32008, SUFFIX, 32009),
            id="codellama",
        ),
        pytest.param({"[PREFIX]": 7, "[SUFFIX]": 8}, 1, (1, 8, SUFFIX, 7, PREFIX), id="codestral-suffix-first"),
        pytest.param(
            {"<[fim-prefix]>": 1, "<[fim-suffix]>": 2, "<[fim-middle]>": 3},
            0,
            (0, 2, SUFFIX, 1, PREFIX, 3),
            id="seed-coder-suffix-first-with-middle",
        ),
        pytest.param(
            {"fim_pre": 9, "fim_suf": 8, "fim_mid": 7}, None, (9, PREFIX, 8, SUFFIX, 7), id="declared-by-id-only"
        ),
    ],
)
def test_fill_prompt_follows_the_form_of_the_vocabulary(
    ids: dict[str, int], bos_id: int | None, expected: Prompt
) -> None:
    assert fill_prompt(FimVocabulary(ids, bos_id=bos_id), PREFIX, SUFFIX) == expected


def test_marker_text_in_a_file_stays_one_plain_text_piece() -> None:
    ids = {"<|fim_prefix|>": 1, "<|fim_suffix|>": 2, "<|fim_middle|>": 3}
    assert fill_prompt(FimVocabulary(ids), "a <|fim_middle|> b", "") == (1, "a <|fim_middle|> b", 2, 3)


def test_fill_prompt_refuses_a_vocabulary_that_lacks_a_marker() -> None:
    with pytest.raises(ValueError, match="no fill-in-the-middle markers"):
        fill_prompt(FimVocabulary({"<|fim_prefix|>": 1, "<|fim_middle|>": 3}), PREFIX, SUFFIX)


def test_every_form_is_found_by_its_own_texts() -> None:
    for form in FORMS:
        assert form_of({text: number for number, text in enumerate((*form.markers, *form.needs))}) == form
    assert "fim_pre" not in MARKER_TEXTS


def test_fourteen_families_have_a_fixture() -> None:
    assert len({path.stem.removesuffix("-files") for path in FIXTURES}) >= 14


def test_a_fill_ends_at_each_token_that_is_no_text() -> None:
    ids = {"<fim_prefix>": 1, "<fim_suffix>": 2, "<fim_middle>": 3, "<filename>": 4, "<think>": 5, DECLARED.middle: 6}
    assert stop_ids(ids) == {1, 2, 3, 4, 6}


def test_other_files_stand_below_comments_where_a_model_knows_no_repositories() -> None:
    ids = {"<|fim_prefix|>": 1, "<|fim_suffix|>": 2, "<|fim_middle|>": 3}
    quoted = [("a.py", "x = 1\n"), ("b.py", "y")]
    assert fill_prompt(FimVocabulary(ids), PREFIX, SUFFIX, quoted, file="c.py") == (
        1, f"# a.py\nx = 1\n\n# b.py\ny\n\n# c.py\n{PREFIX}", 2, SUFFIX, 3,
    )  # fmt: skip
