"""What each language's query file finds, in a sample of real-looking code and around syntax errors.

`data/LANGUAGE.sample` is the source, `data/LANGUAGE.expected` all that is found in it: definitions as
"line kind container.name : signature", imports, and each used name with its lines. Read a difference before you
accept it: `python tests/index/test_languages.py` writes the expected files again.
"""

from __future__ import annotations

from bisect import bisect_right
from pathlib import Path

import pytest

from ghostd.index.imports import ImportRow
from ghostd.index.parse import Parsed, parse

DATA = Path(__file__).parent / "data"
SAMPLES = sorted(path.stem for path in DATA.glob("*.sample"))


def describe(source: bytes, parsed: Parsed) -> str:
    """All that was found, as text."""
    lines = [0, *(i + 1 for i, byte in enumerate(source) if byte == 10)]
    out = []
    for name, kind, start, end, name_start, name_end, line, container, signature in parsed.symbols:
        assert source[name_start:name_end].decode() == name
        assert start <= name_start < name_end <= end
        assert bisect_right(lines, name_start) == line
        dotted = f"{container}.{name}" if container else name
        out.append(f"{line} {kind} {dotted} : {signature}")
    out.append("--- imports")
    out.extend(f"{row.line} {row.module} ({_told(row)})" for row in parsed.imports)
    out.append("--- references")
    for found, starts in sorted(parsed.references.items()):
        assert all(source[start : start + len(found)] == found for start in starts)
        out.append(f"{found.decode()} {' '.join(str(bisect_right(lines, start)) for start in starts)}")
    return "\n".join(out) + "\n"


def _told(row: ImportRow) -> str:
    names = (
        [f"{name} as {own}" if name != own else name for name, own in zip(row.names, row.as_names, strict=True)]
        if (row.names and row.as_names)
        else [*row.names, *(f"as {own}" for own in row.as_names)]
    )
    return (
        ", ".join(names)
        + (f"; {row.kind}" if row.kind != "import" else "")
        + (f" in {row.container}" if row.container else "")
    )


@pytest.mark.parametrize("language", SAMPLES)
def test_a_sample_gives_exactly_the_expected_definitions_imports_and_references(language: str) -> None:
    source = (DATA / f"{language}.sample").read_bytes()
    expected = (DATA / f"{language}.expected").read_text(encoding="utf-8")
    assert describe(source, parse(language, source)) == expected


def test_every_grammar_has_a_sample() -> None:
    from ghostd.index.languages import GRAMMARS

    assert sorted(set(GRAMMARS.values())) == SAMPLES


@pytest.mark.parametrize(
    ("language", "source", "names"),
    [
        ("python", "def before(): pass\n)))) else\ndef after(): pass\n", {"before", "after"}),
        ("python", "class A:\n    def m(self):\n        return self.\n\ndef after(): pass\n", {"A", "m", "after"}),
        ("typescript", "function before() {}\nconst x = = ;\nclass After { m() {} }\n", {"before", "After", "m"}),
        ("javascript", "function before() {}\nlet 1x;\nfunction after() {}\n", {"before", "after"}),
        ("rust", "fn before() {}\nfn broken( { \nfn after() {}\n", {"before", "after"}),
        ("zig", "fn before() void {}\nconst = ;\nfn after() void {}\n", {"before", "after"}),
        ("go", "package p\nfunc before() {}\nvar = 3\nfunc after() {}\n", {"before", "after"}),
        ("c", "int before(void) { return 1; }\nint broken( { ;\nint after(void) { return 2; }\n", {"before", "after"}),
        ("cpp", "class Before { int m(); };\n@@@\nint after() { return 1; }\n", {"Before", "m", "after"}),
        ("java", "class Before { void m() {} \n int = 3; void n() {} }\n", {"Before", "m", "n"}),
        ("lua", "function before() end\nlocal = )\nfunction after() end\n", {"before", "after"}),
        ("ruby", "def before; end\nx = = 1\nclass After; def m; end; end\n", {"before", "After", "m"}),
        (
            "c_sharp",
            "class Before { void M() {} }\n@@@\nclass After { int N() => 1; }\n",
            {"Before", "M", "After", "N"},
        ),
        ("bash", "before() { :; }\nif then ((\nfi\nafter() { :; }\n", {"before"}),
    ],
)
def test_definitions_around_a_syntax_error_are_found(language: str, source: str, names: set[str]) -> None:
    found = {symbol[0] for symbol in parse(language, source.encode()).symbols}
    assert names <= found


@pytest.mark.parametrize(
    ("language", "source"),
    [
        ("python", b"(" * 50_000 + b")" * 50_000),
        ("python", b"x = " + b"[" * 50_000 + b"]" * 50_000),
        ("python", b"a" + b".b" * 16_000),
        ("javascript", b"a" + b".b" * 16_000),
        ("rust", b"fn f() { a" + b".b" * 16_000 + b"; }"),
        ("c", b"int " + b"*" * 50_000 + b"x;"),
        ("java", b"class A { int x = a" + b".b" * 16_000 + b"; }"),
        ("go", b"package p\nvar x = a" + b".b" * 16_000),
        ("zig", b"const x = a" + b".b" * 16_000 + b";"),
        ("cpp", b"class A {" * 3_000),
    ],
)
def test_a_deeply_nested_file_is_parsed_without_recursion_or_quadratic_time(language: str, source: bytes) -> None:
    """Quadratic queries take 5 s and more here, and the suite's time limit ends what recurses or hangs."""
    parsed = parse(language, source)
    assert len(parsed.references.get(b"b", ())) in (0, 16_000)


def test_a_byte_order_mark_moves_no_offset() -> None:
    source = b"\xef\xbb\xbfdef foo(): pass\n"
    (symbol,) = parse("python", source).symbols
    assert source[symbol[4] : symbol[5]] == b"foo"


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("interface Box<in out A> {\n  value: A\n}\nconst after = 1\n", ["Box", "value", "after"]),
        ("export class Box<out A, in B extends A> {}\nclass After {}\n", ["Box", "After"]),
        ("type T = {\n  <A>(x: A): A\n  <B>(y: B): B\n}\nfunction after() {}\n", ["T", "after"]),
        ("const f: {\n  (): number\n  <\n    B\n  >(y: B): B\n} = g\nclass After {}\n", ["f", "After"]),
        ("const a = 1, inner = 2\nfor (const k in a) {}\n", ["a", "inner"]),
        ("const f =\n  <A>(x: A) =>\n  <B>(y: B): B => y\nclass After {}\n", ["f", "After"]),
        ("type M<A> =\n  `no \\`Self\\`: ${A}<Self>()({ ... })`\nclass After {}\n", ["M", "After"]),
        ("const s = `a \\\\`\nconst t = `\\`${s}`\nclass After {}\n", ["s", "t", "After"]),
        (
            "class A {\n  constructor(private b: B, readonly: C, public readonly d?: D) {}\n}\n",
            ["A", "constructor", "b", "d"],
        ),
    ],
)
def test_typescript_that_the_grammar_lacks_hides_nothing_behind_it(source: str, names: list[str]) -> None:
    data = source.encode()
    found = parse("typescript", data).symbols
    assert [symbol[0] for symbol in found] == names
    assert all(data[symbol[4] : symbol[5]].decode() == symbol[0] for symbol in found)


if __name__ == "__main__":
    for sample in SAMPLES:
        text = (DATA / f"{sample}.sample").read_bytes()
        (DATA / f"{sample}.expected").write_text(describe(text, parse(sample, text)), encoding="utf-8")
