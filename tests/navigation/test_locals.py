"""A function's own names are told from types, default values, and names from outside."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest
from navigation_harness import parsed

from ghostd.indexed import Span
from ghostd.navigation.locals import binding


@pytest.mark.parametrize(
    ("path", "text", "name", "own"),
    [
        ("a.py", "def f(item: Kind = DEFAULT, *more, **rest) -> Kind:\n    HERE", "item", True),
        ("a.py", "def f(item: Kind = DEFAULT, *more, **rest) -> Kind:\n    HERE", "more", True),
        ("a.py", "def f(item: Kind = DEFAULT, *more, **rest) -> Kind:\n    HERE", "rest", True),
        ("a.py", "def f(item: Kind = DEFAULT, *more, **rest) -> Kind:\n    HERE", "Kind", False),
        ("a.py", "def f(item: Kind = DEFAULT, *more, **rest) -> Kind:\n    HERE", "DEFAULT", False),
        ("a.py", "def f():\n    found = 1\n    HERE", "found", True),
        ("a.py", "def f():\n    found: list[int] = []\n    HERE", "found", True),
        ("a.py", "def f():\n    for a, b in c:\n        HERE", "b", True),
        ("a.py", "def f():\n    for a, b in c:\n        HERE", "c", False),
        ("a.py", "def f():\n    with x as handle:\n        HERE", "handle", True),
        ("a.py", "def f():\n    if x == 1: HERE", "x", False),
        ("a.py", "def f():\n    x.found = 1\n    HERE", "found", False),
        ("a.py", "def outer(item):\n    def inner():\n        HERE", "item", True),
        ("a.py", "found = 1\ndef f():\n    HERE", "found", False),
        ("a.py", "def f(item: list[Kind] | Other, x: Map[str, Third] = 1):\n    HERE", "Kind", False),
        ("a.py", "def f(item: list[Kind] | Other, x: Map[str, Third] = 1):\n    HERE", "Other", False),
        ("a.py", "def f(item: list[Kind] | Other, x: Map[str, Third] = 1):\n    HERE", "Third", False),
        ("a.py", "def f(item: list[Kind] | Other, x: Map[str, Third] = 1):\n    HERE", "x", True),
        ("a.py", "def f(\n    a: int,  # so: [more\n    item: Kind,\n):\n    HERE", "item", True),
        ("a.ts", "function f(\n  a: A, // so: {more\n  item: Kind,\n) {\n  HERE\n}", "item", True),
        ("a.py", "def f():\n    # found\n    g('found', found=1)\n    found = 2\n    HERE", "found", True),
        ("a.py", "def f():\n    g(THING, key=1)\n    HERE", "THING", False),
        ("a.py", "def f():\n    g(THING, key=1)\n    HERE", "key", False),
        ("a.py", "def f():\n    g(\n        key=1,\n        other=HERE,\n    )", "other", False),
        ("a.py", "def f():\n    if THING in x: HERE", "THING", False),
        ("a.py", "def f():\n    if (found := g()):\n        HERE", "found", True),
        ("a.py", "def f():\n    a, (b, c) = g()\n    HERE", "a", True),
        ("a.py", "def f():\n    x = [item for key, item in g()]\n    HERE", "item", True),
        ("a.py", "def f():\n    def inner():\n        found = 1\n    HERE", "found", False),
        ("a.ts", "function f() {\n  total = 1;\n  HERE\n}", "total", False),
        ("a.ts", "function f() {\n  const { a, deep } = g();\n  HERE\n}", "deep", True),
        ("a.ts", "function f() {\n  for (const x of things) HERE\n}", "things", False),
        ("a.ts", "function f(item: A | Kind): B<Kind> {\n  HERE\n}", "Kind", False),
        ("a.ts", "function f() {\n  on(function (item, next) { HERE });\n}", "next", True),
        ("a.rs", "fn f(x: &[Kind]) {\n  let Point { x, y } = g(A | FLAG); HERE\n}", "Kind", False),
        ("a.rs", "fn f(x: &[Kind]) {\n  let Point { x, y } = g(A | FLAG); HERE\n}", "Point", False),
        ("a.rs", "fn f(x: &[Kind]) {\n  let Point { x, y } = g(A | FLAG); HERE\n}", "FLAG", False),
        ("a.rs", "fn f(x: &[Kind]) {\n  let Point { x, y } = g(A | FLAG); HERE\n}", "y", True),
        ("a.zig", "fn f() void {\n  for (items, 0..) |item, i| { HERE; }\n}", "i", True),
        ("a.go", "package a\nfunc f(m map[Kind]int) {\n  a, found := g(); HERE\n}", "Kind", False),
        ("a.go", "package a\nfunc f() {\n  g(func(w Writer, item *Kind) { HERE })\n}", "item", True),
        ("a.go", "package a\nfunc f() {\n  g(func(w Writer, item *Kind) { HERE })\n}", "Kind", False),
        ("a.go", "package a\nfunc f(m map[Kind]int) {\n  a, found := g(); HERE\n}", "a", True),
        ("a.c", "int f(void) {\n  struct kind *item = g(a * thing);\n  return HERE;\n}", "item", True),
        ("a.c", "int f(void) {\n  struct kind *item = g(a * thing);\n  return HERE;\n}", "thing", False),
        ("a.c", "int f(void) {\n  return thing;\n  HERE;\n}", "thing", False),
        ("A.java", "class A { void f() { for (Kind item : all) HERE; } }", "item", True),
        ("a.ts", "function f(item: Kind, { deep }: X) {\n  HERE\n}", "item", True),
        ("a.ts", "function f(item: Kind, { deep }: X) {\n  HERE\n}", "deep", True),
        ("a.ts", "function f(item: Kind, { deep }: X) {\n  HERE\n}", "Kind", False),
        ("a.ts", "function f() {\n  const found = g();\n  HERE\n}", "found", True),
        ("a.ts", "function f() {\n  const found = g();\n  HERE\n}", "g", False),
        ("a.ts", "function f() {\n  g((item, { deep }) => { HERE });\n}", "item", True),
        ("a.ts", "function f() {\n  g((item, { deep }) => { HERE });\n}", "deep", True),
        ("a.ts", "function f() {\n  g(item => { HERE });\n}", "item", True),
        ("a.ts", "function f() {\n  h(thing, () => { HERE });\n}", "thing", False),
        ("a.ts", "const f = item => { g(HERE); };", "item", True),
        ("a.py", "def f():\n    g(lambda a, item: HERE)", "item", True),
        ("a.py", "def f():\n    g(lambda: thing(HERE))", "thing", False),
        ("a.rb", "def f\n  found = 1\n  g(HERE)\nend", "found", True),
        ("a.rs", "fn f() {\n  g(|a, item| HERE);\n}", "item", True),
        ("a.rs", "fn f() {\n  match g() { Some(item) => HERE, RED => 1 }\n}", "item", True),
        ("a.rs", "fn f() {\n  match g() { Color::Red => 1, RED => HERE }\n}", "Red", False),
        ("a.rs", "fn f() {\n  match g() { Color::Red => 1, RED => HERE }\n}", "RED", False),
        ("a.rs", "fn f(mut item: &Kind) {\n  let (a, b) = c; HERE\n}", "item", True),
        ("a.rs", "fn f(mut item: &Kind) {\n  let (a, b) = c; HERE\n}", "Kind", False),
        ("a.rs", "fn f(mut item: &Kind) {\n  let (a, b) = c; HERE\n}", "a", True),
        ("a.zig", "fn f(item: Kind) void {\n  const found = g(item); HERE;\n}", "found", True),
        ("a.zig", 'test "a test" {\n    run(HERE);\n}', "run", False),
        ("a.zig", "fn f(comptime item: Kind) void {\n  HERE;\n}", "item", True),
        ("a.go", "package a\nfunc f(a, b Kind) {\n  found := g(); HERE\n}", "b", True),
        ("a.go", "package a\nfunc f(a, b Kind) {\n  found := g(); HERE\n}", "found", True),
        ("a.go", "package a\nfunc f(a, b Kind) {\n  found := g(); HERE\n}", "Kind", False),
        ("a.c", "int f(struct kind *item, char name[3]) {\n  HERE;\n}", "item", True),
        ("a.c", "int f(struct kind *item, char name[3]) {\n  HERE;\n}", "name", True),
        ("a.c", "int f(struct kind *item, char name[3]) {\n  HERE;\n}", "kind", False),
        ("A.java", "class A { void f(Kind item) { HERE; } }", "item", True),
        ("A.java", "class A { void f(Kind item) { HERE; } }", "Kind", False),
    ],
)
async def test_a_name_is_a_functions_own_where_that_binds_it(
    path: str, text: str, name: str, own: bool, tmp_path: Path
) -> None:
    index = await parsed(tmp_path, {path: text})
    outline = list(await index.outline(tmp_path, PurePosixPath(path)))
    places = [use.span for use in await index.uses(tmp_path, PurePosixPath(path)) if use.name == name]
    found = binding(text.encode(), outline, name, text.index("HERE"), places)
    assert (found is not None) == own
    if found is not None:
        assert text[found[1].start : found[1].end] == name


async def test_a_huge_function_or_name_takes_no_time(tmp_path: Path) -> None:
    text = "def f(" + "(" * 50_000 + ",\n" * 50_000 + "x" * 50_000 + "\n HERE"
    index = await parsed(tmp_path, {"a.py": "def f(): ...\n"})
    (function,) = await index.outline(tmp_path, PurePosixPath("a.py"))
    whole = function.__class__(
        "f", "function", function.path, function.span.__class__(0, len(text)), function.name_span, 1
    )
    for name in ("y" * 50_000, "HERE", "x" * 50_000):
        place = text.find(name)
        places = [Span(place, place + len(name))] * 1000
        assert binding(text.encode(), [whole], name, text.index("HERE"), places) is None
