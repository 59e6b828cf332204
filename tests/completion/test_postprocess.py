"""Cutting a fill to what an editor should show."""

from collections.abc import AsyncGenerator

import pytest

from ghostd.completion.fill import collect
from ghostd.completion.postprocess import ended_by, limit_lines, trim_overlap
from ghostd.types import Delta, Ending, Usage


async def stream(*pieces: str) -> AsyncGenerator[Delta, None]:
    for piece in pieces:
        yield Delta(piece)
    yield Delta(finish_reason="stop", usage=Usage(1, 1))


@pytest.mark.parametrize(
    ("pieces", "max_lines", "text"),
    [
        (["a\nb\nc"], 1, "a"),
        (["a", "\n", "b\nc"], 2, "a\nb"),
        (["\n", "  a\n", "  b\n", "  c"], 2, "\n  a\n  b"),
        (["a"], 3, "a"),
    ],
)
async def test_a_fill_ends_with_its_last_wanted_line(pieces: list[str], max_lines: int, text: str) -> None:
    assert (await collect(limit_lines(stream(*pieces), max_lines))).text == text


@pytest.mark.parametrize(
    ("text", "suffix", "shown"),
    [
        ("a, b)", ")\nnext", "a, b"),
        ("a, b)  ", ")\nnext", "a, b"),
        ("a, b)", "\nnext", "a, b)"),
        ("x = 1\n    return x", "\n    return x\n", "x = 1"),
        ("x = 1\n}", "\n}\n", "x = 1\n}"),
        ("x = 1", "", "x = 1"),
    ],
)
def test_what_stands_after_the_cursor_is_not_repeated(text: str, suffix: str, shown: str) -> None:
    assert trim_overlap(text, suffix) == shown


@pytest.mark.parametrize(
    ("pieces", "least", "text", "reason"),
    [
        (["a\n    b\n  c\n    d"], 4, "a\n    b\n  ", "length"),
        (["a\n", " ", " ", "c", "d"], 4, "a\n  ", "length"),
        (["a\n\tb\n\n\tc"], 1, "a\n\tb\n\n\tc", "stop"),
        (["a", "b"], 4, "ab", "stop"),
        (["a\n    b"], 0, "a\n    b", "stop"),
    ],
)
async def test_a_text_ends_at_a_line_that_is_indented_less(
    pieces: list[str], least: int, text: str, reason: str
) -> None:
    whole = await collect(ended_by(stream(*pieces), Ending(min_indent=least)))
    assert (whole.text, whole.finish_reason) == (text, reason)


async def test_a_text_that_is_cut_has_the_usage_that_was_counted() -> None:
    async def deltas() -> AsyncGenerator[Delta, None]:
        yield Delta("a\nb", counted=Usage(7, 3))
        yield Delta("c\nd", counted=Usage(7, 5))
        yield Delta(finish_reason="stop", usage=Usage(7, 9))

    assert (await collect(limit_lines(deltas(), 2))).usage == Usage(7, 5)
    assert (await collect(ended_by(deltas(), Ending(max_ms=0)))).usage == Usage(7, 3)


@pytest.mark.parametrize(("pieces", "text"), [(["a", "b\n", "c"], "ab\n"), (["a", "b", "c"], "abc")])
async def test_a_text_whose_time_is_over_ends_once_it_has_a_line_break(pieces: list[str], text: str) -> None:
    assert (await collect(ended_by(stream(*pieces), Ending(max_ms=0)))).text == text
    assert (await collect(ended_by(stream(*pieces), Ending(max_ms=1e6)))).text == "".join(pieces)
