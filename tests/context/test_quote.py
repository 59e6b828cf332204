"""How pieces stand in a prompt."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from ghostd.context.quote import comment_mark, prompt_of
from ghostd.context.selection import ContextChunk


@pytest.mark.parametrize(
    ("name", "mark"),
    [
        ("a.py", "#"),
        ("a.RB", "#"),
        ("Makefile", "#"),
        ("a.ts", "//"),
        ("a.zig", "//"),
        ("a.lua", "--"),
        ("README", "//"),
    ],
)
def test_the_comment_is_of_the_files_language(name: str, mark: str) -> None:
    assert comment_mark(PurePosixPath(name)) == mark


def test_each_piece_stands_below_its_files_name_which_cannot_break_out_of_the_comment() -> None:
    pieces = [
        ContextChunk(PurePosixPath(path), 1, 2, text, "search", 0.5, 9, ())
        for path, text in (("a.py", "x = 1"), ("b\nimport os.py", "y = 2"))
    ]
    assert prompt_of(pieces, PurePosixPath("m.py")) == "# a.py\nx = 1\n\n# b�import os.py\ny = 2\n\n"
