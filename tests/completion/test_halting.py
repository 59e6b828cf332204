"""How much is written at a cursor, and where a fill ends while the model still writes."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from ghostd.completion.halting import Halt, halt_at
from ghostd.completion.lexing import PYTHON, lex, syntax_of
from ghostd.completion.postprocess import halted, until_tokens
from ghostd.completion.shape import wants_lines
from ghostd.types import Delta, Usage


@pytest.mark.parametrize(
    ("name", "prefix", "suffix", "lines"),
    [
        ("a.py", "def f():\n    ", "\n", True),
        ("a.py", "def f():\n    ", "\n\ndef g(): pass\n", True),
        ("a.py", "def f():", "\n", True),
        ("a.py", "def f():  # why", "\n", False),
        ("a.py", "def f():", "\n    return 1\n", False),
        ("a.py", "def f():\n    ", "\n    return 1\n", False),
        ("a.py", "def f():\n    a = 1\n    ", "\n\n\ndef g(): pass\n", True),
        ("a.py", "def f():\n    a = 1\n    ", "\n    b = 2\n", False),
        ("a.py", "x = ", "\n", False),
        ("a.py", "foo(", ")\n", False),
        ("a.py", "foo(\n    a,\n    ", "\n)\n", False),
        ("a.py", 'x = "if a:', '"\n', False),
        ("a.py", "# if a:", "\n", False),
        ("a.py", 'def f():\n    """Text\n    ', '\n    """\n', False),
        ("a.py", "x = {", "}\n", True),
        ("a.py", "for x in y:\n    ", "z()\n", False),
        ("a.py", "", "", True),
        ("a.js", "function f() {", "\n}\n", True),
        ("a.js", "function f() {", "}\n", True),
        ("a.js", "const f = () =>", "\n", True),
        ("a.js", "f(", ")\n", False),
        ("a.js", "const s = `a {", "`\n", False),
        ("a.js", "/* if (x) {", "\n*/\n", False),
        ("a.js", "if (x) {\n  ", "\n}\n", True),
        ("a.js", "if (x) {\n  a();\n  ", "\n  b();\n}\n", False),
        ("a.c", "int f(void)\n{\n", "\n}\n", True),
        ("a.rs", "fn f<'a>(x: &'a str) {\n    ", "\n}\n", True),
        ("a.rs", 'let c = "{', '";\n', False),
        ("a.zig", "fn f() void {\n    ", "\n}\n", True),
        ("a.go", "if x {\n\t", "\n}\n", True),
        ("a.rb", "def f", "\nend\n", True),
        ("a.lua", "if x then", "\nend\n", True),
        ("a.sh", "for x in y; do", "\ndone\n", True),
        ("a.md", "Words", "\n", False),
        ("a.tsx", "return (\n  <ul>\n    <li>a</li>\n    ", "\n  </ul>\n);\n", True),
        ("a.tsx", "return (\n  <ul>\n    ", "\n    <li>a</li>\n  </ul>\n);\n", False),
    ],
)
def test_several_lines_are_wanted_where_a_block_is_empty(name: str, prefix: str, suffix: str, lines: bool) -> None:
    assert wants_lines(prefix, suffix, syntax_of(None, Path(name))) is lines


@pytest.mark.parametrize(
    ("name", "prefix", "suffix", "text", "shown"),
    [
        pytest.param("a.py", "x = ", "\n", "1\ny = 2", "1", id="the-rest-of-a-line"),
        pytest.param("a.py", "x = 1", "\n", "\ny = 2\nz", "\ny = 2", id="the-next-line"),
        pytest.param("a.py", "x = fo", "o(1)\n", "o\n", "o", id="inside-a-word"),
        pytest.param("a.py", "f(a, ", ")\n", "b)", "b", id="a-bracket-that-is-there"),
        pytest.param("a.py", "f(g(a, ", ")\n", "b))", "b)", id="one-of-two-brackets"),
        pytest.param("a.py", "f(", ")\n", "')', a)", "')', a", id="a-bracket-in-a-string"),
        pytest.param(
            "a.py", "def f():\n    ", "\n", "a = 1\n    return a\n\ndef g():", "a = 1\n    return a\n", id="dedent"
        ),
        pytest.param(
            "a.py",
            "class A:\n    def f(self):",
            "\n",
            "\n        return 1\n\n    def g(self):\n        return 2",
            "\n        return 1\n",
            id="the-next-method",
        ),
        pytest.param(
            "a.py",
            "    if a:",
            "\n",
            "\n        b()\n    else:\n        c()\n    d()",
            "\n        b()\n    else:\n        c()",
            id="else-goes-on",
        ),
        pytest.param("a.py", "", "", "import os\n\ndef f():\n    pass", "import os\n", id="top-level-keyword"),
        pytest.param(
            "a.py", "def f():\n    ", "\n    return done(x)\n", "a()\n    return done(x)\n", "a()", id="the-line-below"
        ),
        pytest.param(
            "a.js", "function f() {\n  ", "\n}\n", "a();\n  b();\n}\n\nfunction g", "a();\n  b();", id="brace-is-there"
        ),
        pytest.param("a.js", "function f() {\n  ", "\n", "a();\n}\n\ng();\n}", "a();\n}", id="brace-is-needed"),
        pytest.param(
            "a.js", "if (a) {\n  ", "\n}\n", "if (b) {\n    c();\n  }\n}", "if (b) {\n    c();\n  }", id="nested"
        ),
        pytest.param(
            "a.js",
            "function f() {\n  if (a",
            "\n    g();\n  }\n}\n",
            " && b) {\n",
            " && b) {",
            id="a-block-that-is-there",
        ),
        pytest.param(
            "a.go", "func f() {\n\tif g(", "\n\t\th()\n\t}\n}\n", "x); y {\n", "x); y {", id="a-block-that-is-there-go"
        ),
        pytest.param("a.js", "test('a', (", "\n  f();\n});\n", "t) => {\n", "t) => {", id="a-call-that-goes-on-below"),
        pytest.param("a.js", "x = [f(", ")]\n", "1)]\n", "1", id="brackets-of-two-kinds-that-are-there"),
        pytest.param("a.go", "func f() {\n\t", "\n}\n", "a()\n\tb()\n}\n\nfunc g() {", "a()\n\tb()", id="go"),
        pytest.param("a.rs", "fn f() {\n    ", "\n}\n", "a();\n}\n", "a();", id="rust"),
        pytest.param("a.zig", "fn f() void {\n    ", "\n}\n", "a();\n}\n", "a();", id="zig"),
        pytest.param(
            "a.py",
            "def f(x):\n    ",
            "\n    return y\n",
            "y = [\n        x,\n        1,\n    ]\n    z = 2\n",
            "y = [\n        x,\n        1,\n    ]",
            id="one-statement-is-written-to-its-last-bracket",
        ),
        pytest.param(
            "a.go",
            "func f() error {\n\t",
            "\n\treturn nil\n}\n",
            "if err := g(); err != nil {\n\t\treturn err\n\t}\n\th()\n",
            "if err := g(); err != nil {\n\t\treturn err\n\t}",
            id="one-statement-is-written-to-the-end-of-its-block",
        ),
        pytest.param(
            "a.rs",
            "impl A {\n    ",
            "\n    fn b(&self) {}\n}\n",
            "#[inline]\n    fn c(&self) -> u8 {\n        1\n    }\n    fn d(&self) {}\n",
            "#[inline]\n    fn c(&self) -> u8 {\n        1\n    }",
            id="an-attribute-and-what-it-is-for",
        ),
        pytest.param(
            "a.py",
            "class A:\n    ",
            "\n    def b(self): ...\n",
            "@classmethod\n    def make(cls) -> Self:\n        return cls()\n",
            "@classmethod\n    def make(cls) -> Self:",
            id="a-decorator-and-the-head-that-it-is-for",
        ),
        pytest.param(
            "a.py",
            "",
            "",
            "@cache\ndef f():\n    return 1\n\n\ndef g():",
            "@cache\ndef f():\n    return 1\n",
            id="decorated",
        ),
        pytest.param(
            "a.rs", "", "", "#[test]\nfn f() {}\n\n#[test]\nfn g() {}", "#[test]\nfn f() {}\n", id="attributes-of-two"
        ),
        pytest.param(
            "a.py",
            "def f(x):\n    ",
            "\n    return x\n",
            'y = """\n    one\n    """\n    z = 1\n',
            'y = """\n    one\n    """',
            id="a-long-string",
        ),
        pytest.param(
            "a.py",
            "def f(x):\n    ",
            "\n    return x\n",
            "y = x + \\\n        1\n    z\n",
            "y = x + \\\n        1",
            id="joined",
        ),
        pytest.param(
            "a.tsx",
            "return (\n  <ul>\n    ",
            "\n    <li>b</li>\n  </ul>\n);\n",
            "<li>\n      <b>it's</b>\n    </li>\n    <li />\n",
            "<li>\n      <b>it's</b>\n    </li>",
            id="an-element",
        ),
        pytest.param(
            "a.rs",
            "fn f(x: Vec<u8>) -> u8 {\n    ",
            "\n    v[0]\n}\n",
            "let v: Vec<u8> = x\n        .iter()\n        .map(|a| a + 1)\n        .collect();\n    let w = 1;\n",
            "let v: Vec<u8> = x\n        .iter()\n        .map(|a| a + 1)\n        .collect();",
            id="a-chain-of-calls",
        ),
        pytest.param(
            "A.java",
            "class A {\n    ",
            "\n    int b;\n}\n",
            "@Override\n    // why\n    int c;\n    int d;\n",
            "@Override\n    // why",
            id="no-chain-of-calls",
        ),
        pytest.param(
            "a.ts",
            "function f() {\n  ",
            "\n  b();\n}\n",
            "<any>window.a();\n  c();\n",
            "<any>window.a();",
            id="an-assertion-is-no-element",
        ),
    ],
)
@pytest.mark.parametrize("step", [1, 4, 1000])
def test_a_fill_ends_where_its_block_does(
    name: str, prefix: str, suffix: str, text: str, shown: str, step: int
) -> None:
    """However the text is cut into pieces."""
    syntax = syntax_of(None, Path(name))
    halt = halt_at(prefix, suffix, syntax, lines=wants_lines(prefix, suffix, syntax))
    end = next(
        (found for size in range(step, len(text), step) if (found := halt.end(text[:size])) is not None),
        halt.end(text, complete=True),
    )
    assert text[:end].rstrip() == shown.rstrip()


async def told(halt: Halt, *pieces: str) -> list[str]:
    async def deltas() -> AsyncGenerator[Delta, None]:
        for piece in pieces:
            yield Delta(piece)
        yield Delta("", "stop", Usage(1, 1))

    return [delta.text async for delta in halted(deltas(), lambda: halt) if delta.text]


async def test_a_line_is_told_as_soon_as_the_next_one_is_known_to_stay() -> None:
    halt = halt_at("def f():\n    ", "\n    return total\n", PYTHON, lines=True)
    other = ("a = 1", "\n   ", " b", " = ", "2\n", "    return", " tot", "als\n")
    assert await told(halt, *other) == ["a = 1", "\n    b = ", "2", "\n    return totals", "\n"]
    met = ("a = 1", "\n    return", " total", "\n", "    b = 2")
    assert await told(halt, *met) == ["a = 1"]


async def test_what_has_been_told_is_what_stands_before_the_end() -> None:
    halt = halt_at("    if a:", "\n", PYTHON, lines=True)
    text = "\n        b()\n    else:\n        c()\n    d()\n    e()"
    assert "".join(await told(halt, *text)) == "\n        b()\n    else:\n        c()"


@pytest.mark.parametrize(
    ("name", "text", "opened", "inside"),
    [
        ("a.py", "f('(', [1", "([", "code"),
        ("a.py", 'x = """ (', "", "string"),
        ("a.py", "x = 1 # (", "", "comment"),
        ("a.js", "x = /[(]/; f(`a ${b(", "(", "string"),
        ("a.js", "a / b / (c", "(", "code"),
        ("a.rs", "fn f<'a>(x: &'a str, c: char) { '('", "{", "code"),
        ("a.zig", "const s =\n    \\\\ ((\n    ; f(", "(", "code"),
        ("a.lua", "--[[ ( ]] f(", "(", "code"),
        ("a.go", "s := `(\n` + f(", "(", "code"),
        ("a.c", "char c = '\\''; /* ( */ f(", "(", "code"),
        ("a.txt", "(((", "(((", "code"),
    ],
)
def test_brackets_in_strings_and_comments_are_none(name: str, text: str, opened: str, inside: str) -> None:
    lexed = lex(text, syntax_of(None, Path(name)))
    assert ("".join(bracket.text for bracket in lexed.opened), lexed.inside) == (opened, inside)


async def test_a_token_that_is_no_text_ends_a_fill() -> None:
    closed: list[bool] = []

    async def deltas() -> AsyncGenerator[Delta, None]:
        try:
            yield Delta("a", tokens=(10,))
            yield Delta("b", tokens=(3, 11), counted=Usage(5, 3))
            yield Delta("c", tokens=(12,))
        finally:
            closed.append(True)

    got = [delta async for delta in until_tokens(deltas(), frozenset((3,)))]
    assert got == [Delta("a", tokens=(10,)), Delta("", "stop", Usage(5, 3))]
    assert closed == [True]


@pytest.mark.parametrize(
    ("name", "prefix", "suffix", "line"),
    [
        ("a.tsx", "const A = () => (\n  <p>\n    ", "\n    <b/>\n  </p>\n);\n", "    <a>\n"),
        ("a.py", "def f():\n    ", "\n    return 1\n", "    (\n"),
        ("a.py", "def f():\n    ", "\n    return 1\n", "    @a\n"),
        ("a.rs", "fn f() {\n    a", "\n    b();\n}\n", "        .a()\n"),
    ],
)
def test_a_statement_that_never_ends_is_ended(name: str, prefix: str, suffix: str, line: str) -> None:
    halt = halt_at(prefix, suffix, syntax_of(None, Path(name)), lines=False)
    assert halt.end(line * 30) is None
    end = halt.end(line * 50)
    assert end is not None and end < len(line) * 41
