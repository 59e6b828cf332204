"""A text that would bring syntax errors into a sound file is cut back, or not shown."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path, PurePath

import pytest
from completion.test_tidy import holes

import ghostd
from ghostd.completion.soundness import SyntaxGuard
from ghostd.index.languages import GRAMMARS, language_of
from ghostd.index.parse import is_sound
from ghostd.types import FillRequest

PYTHON = "def area(width, height):\n    §\n    return width * height\n"
TYPESCRIPT = "function area(width: number, height: number) {\n  §\n  return width * height;\n}\n"
RUST = "fn area(width: u32, height: u32) -> u32 {\n    §\n    width * height\n}\n"
GO = "package p\n\nfunc area(width, height int) int {\n\t§\n\treturn width * height\n}\n"


class Here:
    """The grammars in this process. Counts what it is asked."""

    def __init__(self, after: asyncio.Event | None = None) -> None:
        self.asked: list[Sequence[str]] = []
        self.after = after

    async def first_sound(self, language: str | None, path: PurePath | None, texts: Sequence[str]) -> int | None:
        self.asked.append(texts)
        if self.after is not None:
            await self.after.wait()
        grammar = GRAMMARS.get(language or (language_of(path.name, b"") if path else ""))
        if grammar is None:
            return None
        return await asyncio.to_thread(
            lambda: next((number for number, text in enumerate(texts) if is_sound(grammar, text.encode())), len(texts))
        )


async def kept(code: str, text: str, name: str = "area.py", check: Here | None = None) -> str:
    prefix, _, suffix = code.partition("§")
    request = FillRequest("model", prefix, suffix, path=Path(name))
    with closing(SyntaxGuard(check or Here(), request, 60.0)) as guard:
        return await guard.kept(text)


@pytest.mark.parametrize(
    ("code", "text", "shown", "name"),
    [
        (PYTHON, "total = width + height", "total = width + height", "area.py"),
        (PYTHON, "total width height", "", "area.py"),
        (PYTHON, "This multiplies the two of them", "", "area.py"),
        (PYTHON, "total = width +", "total = width", "area.py"),
        (PYTHON, "width.", "width", "area.py"),
        (PYTHON, "total = 1\n    print(total)\n    return retur total", "total = 1\n    print(total)", "area.py"),
        (PYTHON, "if width:", "if width:", "area.py"),
        (PYTHON, "for one in width:", "for one in width:", "area.py"),
        (PYTHON, "try:", "try:", "area.py"),
        (PYTHON, "with width as file:\n        print(file)", "with width as file:\n        print(file)", "area.py"),
        (PYTHON, "@cache", "@cache", "area.py"),
        (PYTHON, "# width is in metres, as is the height", "# width is in metres, as is the height", "area.py"),
        (PYTHON, '"""Width times height, in metres."""', '"""Width times height, in metres."""', "area.py"),
        ("class Shape:\n    §\n", "def area(self):", "def area(self):", "a.py"),
        ("x = (\n    §\n)\n", "1 2 3", "", "a.py"),
        ("def f(:\n    §\n", "total width", "total width", "a.py"),  # the file is unsound without it, too
        (TYPESCRIPT, "const total = width + height;", "const total = width + height;", "area.ts"),
        (TYPESCRIPT, "const total = = width;", "", "area.ts"),
        (TYPESCRIPT, "const total = width;\n  const other = = 3;", "const total = width;", "area.ts"),
        (TYPESCRIPT, "const total =", "const total", "area.ts"),
        (RUST, "let total = width + height;", "let total = width + height;", "area.rs"),
        (RUST, "let total width;", "", "area.rs"),
        (RUST, "let total: = 3;\n    foo();", "", "area.rs"),
        ("§\nfn f() {}\n", "#[derive(Debug)]", "#[derive(Debug)]", "area.rs"),
        (GO, "total := width + height", "total := width + height", "area.go"),
        (GO, "total = := width", "", "area.go"),
        ("int f(void) {\n  §\n  return 1;\n}\n", "#ifdef DEBUG", "#ifdef DEBUG", "f.c"),
        ("typedef int a;\n§\nint g(void);\n", "DECLARE_ITEMS(a)", "DECLARE_ITEMS(a)", "f.h"),
        ("typedef int a;\n§\nint g(void);\n", "Py_OLD(3.2) int f(void);", "Py_OLD(3.2) int f(void);", "f.h"),
        ("// f\n§\n\nint g(void);\n#endif\n", "#ifndef F_H\n#define F_H", "#ifndef F_H\n#define F_H", "f.h"),
        ("int f(void) {\n  §\n  return 1;\n}\n", "int total int;", "", "f.c"),
        ('"""Parse.\n\nparse(1)\n§\nparse(2)\n"""\n', "The 2nd one.", "The 2nd one.", "parse.py"),
        ("fn f() void {\n    §\n}\n", "const a = 1;", "const a = 1;", "f.zig"),
        ("fn f() void {\n    §\n}\n", "const a == 1;", "", "f.zig"),
        ("class A {\n  §\n}\n", "public void run() { }", "public void run() { }", "A.java"),
        ("class A {\n  §\n}\n", "public void void run() { }", "", "A.java"),
        # The head of a block that is too long to be shown.
        (RUST, "if let Some(one) = width", "if let Some(one) = width", "area.rs"),
        ("§\n", "fn f<'a>(x: &'a str) -> &'a str", "fn f<'a>(x: &'a str) -> &'a str", "area.rs"),
        (GO, "if err := f(width); err != nil", "if err := f(width); err != nil", "area.go"),
        (TYPESCRIPT, "try", "try", "area.ts"),
        ("class A {\n  §\n}\n", "public void run() throws B", "public void run() throws B", "A.java"),
        (RUST, "if width height", "", "area.rs"),
        (RUST, "let total = match width", "let total = match width", "area.rs"),
        (RUST, "let Some(total) = width else", "let Some(total) = width else", "area.rs"),
        (RUST, "let total = match width height", "", "area.rs"),
        ("§\nfn f() void {}\n", "const A = struct", "const A = struct", "f.zig"),
        ("§\nfn f() void {}\n", "const A = opaque {};", "const A = opaque {};", "f.zig"),
        ("§\n", "const A = enum(u8) {\n    // none\n};", "const A = enum(u8) {\n    // none\n};", "f.zig"),
        ("§\n", "const A = struct struct {};", "", "f.zig"),
        (GO, "for in width", "", "area.go"),
        ("def f\n  §\nend\n", "if x", "if x", "f.rb"),  # `end` is still to come
        ("# Title\n\n§\n", "any text at all", "any text at all", "README.md"),
    ],
)  # fmt: skip
async def test_a_sound_file_stays_sound(code: str, text: str, shown: str, name: str) -> None:
    assert await kept(code, text, name) == shown


async def test_nothing_is_cut_where_the_grammar_does_not_answer_in_time() -> None:
    prefix, _, suffix = PYTHON.partition("§")
    request = FillRequest("model", prefix, suffix, path=Path("area.py"), trigger="automatic")
    with closing(SyntaxGuard(Here(after=asyncio.Event()), request, 0.001)) as guard:
        assert await guard.kept("total width") == "total width"


async def test_the_file_is_looked_at_while_the_model_is_waited_for_and_is_not_asked_for_twice() -> None:
    check = Here()
    prefix, _, suffix = PYTHON.partition("§")
    with closing(SyntaxGuard(check, FillRequest("model", prefix, suffix, path=Path("area.py")), 60.0)) as guard:
        await asyncio.sleep(0)
        assert [len(texts) for texts in check.asked] == [1]
        assert await guard.kept("total width") == ""
        assert await guard.kept("total = width") == "total = width"
    assert [list(texts).index(PYTHON.replace("§", "total = width")) for texts in check.asked[2:]] == [0]


async def test_a_file_that_is_not_sound_costs_nothing_once_the_text_is_there() -> None:
    check = Here()
    assert await kept("def f(:\n    §\n", "total width", check=check) == "total width"
    assert len(check.asked) == 1


async def test_the_right_text_is_never_cut() -> None:
    paths = await asyncio.to_thread(lambda: sorted(Path(ghostd.__file__).parent.rglob("*.py")))
    texts = await asyncio.to_thread(lambda: [path.read_text() for path in paths])
    texts = random.Random(4).sample([text for text in texts if len(text) > 500], 100)
    for prefix, middle, suffix in holes(texts, 300, seed=6):
        assert await kept(f"{prefix}§{suffix}", middle, "a.py") == middle
