"""FIM prompts by vocabulary. Expected layouts are those of the models' cards."""

from __future__ import annotations

import pytest

from ghostd.completion.families import fill_prompt
from ghostd.fim_markers import FORMS, MARKER_TEXTS, form_of
from ghostd.models import FimVocabulary
from ghostd.types import Prompt

PREFIX, SUFFIX = "def f(", "):\n"


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


def test_every_form_is_found_by_its_own_markers() -> None:
    for form in FORMS:
        assert form_of({marker: number for number, marker in enumerate(form.markers)}) == form
    assert "fim_pre" not in MARKER_TEXTS


@pytest.mark.parametrize(
    ("markers", "expected"),
    [
        pytest.param(
            ("<|repo_name|>", "<|file_sep|>"),
            (4, "project\n", 5, "a.py\nx = 1\n", 5, "b.py\ny", 5, "file\n", 1, PREFIX, 2, SUFFIX, 3),
            id="qwen-as-files-of-a-repository",
        ),
        pytest.param((), ("x = 1\n\ny\n", 1, PREFIX, 2, SUFFIX, 3), id="others-as-they-are"),
    ],
)
def test_other_files_stand_before_the_hole(markers: tuple[str, ...], expected: Prompt) -> None:
    ids = {"<|fim_prefix|>": 1, "<|fim_suffix|>": 2, "<|fim_middle|>": 3, **dict(zip(markers, (4, 5), strict=False))}
    quoted = [("a.py", "x = 1\n"), ("b.py", "y")]
    assert fill_prompt(FimVocabulary(ids), PREFIX, SUFFIX, quoted) == expected
