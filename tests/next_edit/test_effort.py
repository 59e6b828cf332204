"""Files that were made to be laborious: twice the text is about twice the work."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from types import FrameType
from typing import Any

import pytest

from ghostd.next_edit.asked import Asked
from ghostd.next_edit.document import Source
from ghostd.next_edit.guards import chosen
from ghostd.next_edit.here import look_here
from ghostd.next_edit.history import EditHistory
from ghostd.testing.memory_index import MemoryIndex

ROOT = Path("/shop")
RENAMED = ("def f(x, y):\n", "def f(value, y):\n")
USES = "".join(f"x, a{number}; " for number in range(450)) + "\n"
"""As many as are followed."""

# (name of the file, edited line before and after, what is repeated, what stands behind it)
SHAPES: dict[str, tuple[str, tuple[str, str], str, str]] = {
    "functions": ("a.py", RENAMED, "def g(a):\n    return a\n\n", USES),
    "names that are functions' own": ("a.py", RENAMED, "def g(b):\n    return b\n\n", "def h():\n  " + USES),
    "definitions without parameters": ("a.py", RENAMED, "def a\n", USES),
    "lambdas": ("a.py", RENAMED, "lambda a ", USES),
    "lambdas in lines": ("a.py", RENAMED, "lambda a: b\n", USES),
    "comprehensions": ("a.py", RENAMED, "[a for a in b]\n", USES),
    "brackets that are not closed": ("a.py", RENAMED, "(", USES),
    "brackets in brackets": ("a.ts", ("function f(x, y) {\n", "function f(value, y) {\n"), "{", USES),
    "one long list of arguments": ("a.py", RENAMED, "g(" + "a, " * 50, USES),
    "one long list of parameters": ("a.py", ("def f(x,\n", "def f(value,\n"), "a, ", USES + "): ...\n"),
    "arrows": ("a.ts", ("const f = (x, y) => 1;\n", "const f = (value, y) => 1;\n"), "a => ", USES),
    "types": ("a.ts", ("function f(x, y) {}\n", "function f(value, y) {}\n"), "class A { x; }\n", "class B { x; }\n"),
    "structs": ("a.zig", ("const x = 1;\n", "const value = 1;\n"), "const A = struct { a: u8 };\n", USES),
    "generics": ("a.rs", ("fn f(x: u8) {}\n", "fn f(value: u8) {}\n"), ">(<", USES),
    "patterns": ("a.rs", ("fn f(x: u8) {}\n", "fn f(value: u8) {}\n"), "let (a, b) = ", USES),
    "calls in calls": ("a.py", ("def g(a):\n", "def g(a, b):\n"), "g(", ")" * 3000 + "\n"),
    "lists of all names": ("a.py", ("def x(): ...\n", "def value(): ...\n"), "__all__ = [", USES),
    "a use of a new name": ("a.py", ("y = 1\n", "y = load(1)\n"), "b.c(d)\n", "load\n" * 400),
}


def steps(name: str, edited: tuple[str, str], filling: str, rest: str, times: int) -> int:
    """How many lines of Python run until it is known what follows in the file."""
    text = edited[1] + filling * times + rest
    path = PurePosixPath(name)
    history = EditHistory()
    history.note(ROOT / path, 0, [edited[0]], [edited[1]])
    count = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Callable[..., Any]:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        here = look_here(Source(ROOT, path, text), history.edits, 0)
        chosen(Asked(ROOT, path, text, 0, history.edits, MemoryIndex()), here.proposals, 50)
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("shape", SHAPES)
def test_twice_the_text_is_about_twice_the_work(shape: str) -> None:
    name, edited, filling, rest = SHAPES[shape]
    times = 6_000 // len(filling)
    base = steps(name, edited, filling, rest, 0)
    once, twice = (steps(name, edited, filling, rest, times * many) for many in (1, 2))
    assert twice - base <= 2.5 * max(once - base, 1) + 2_000


def test_repeated_changes_take_no_more_steps_than_they_may() -> None:
    """Holes for any number of tokens multiply."""
    path = PurePosixPath("a.py")
    text = "other(a, 1 + 2)\nother(b[0], 3)\n" + "first(c, " * 40 + "\n" + ("first(" + "c, " * 60 + "\n") * 200
    history = EditHistory()
    history.note(ROOT / path, 0, ["first(a, 1 + 2)\n"], ["other(a, 1 + 2)\n"])
    history.note(ROOT / path, 1, ["first(b[0], 3)\n"], ["other(b[0], 3)\n"])
    found = look_here(Source(ROOT, path, text), history.edits, 0).proposals
    assert all(each.kind == "repeat" for each in found)


@pytest.mark.parametrize("length", [20_000, 20_001])
def test_a_file_with_a_line_that_nobody_has_written_is_left_alone(length: int) -> None:
    path = PurePosixPath("a.py")
    text = "def f(value):\n    return x\n" + "#" * (length - 1) + "\n"
    history = EditHistory()
    history.note(ROOT / path, 0, ["def f(x):\n"], ["def f(value):\n"])
    found = look_here(Source(ROOT, path, text), history.edits, 0).proposals
    assert len(found) == (length <= 20_000)
