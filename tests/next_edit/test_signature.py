"""A definition's parameters were changed: its calls follow."""

from __future__ import annotations

from pathlib import Path

import pytest
from next_edit_harness import project

# (name, before, replaced, by, what the file becomes once all proposals are taken)
IN_ONE_FILE = {
    "Python: a parameter is added at the end": (
        "a.py",
        "def f(a):\n    return a\n\nf(1)\nf(a=1)\nx.f(1)\n",
        ("f(a)", "f(a, b)"),
        "def f(a, b):\n    return a\n\nf(1, ...)\nf(a=1, b=...)\nx.f(1)\n",
    ),
    "Python: what is called so at the call is given": (
        "a.py",
        "def f(a):\n    return a\n\ndef g(key):\n    return f(1)\n",
        ("f(a)", "f(a, key)"),
        "def f(a, key):\n    return a\n\ndef g(key):\n    return f(1, key)\n",
    ),
    "Python: one with a default at the end needs nothing": (
        "a.py",
        "def f(a):\n    return a\n\nf(1)\n",
        ("f(a)", "f(a, b=2)"),
        None,
    ),
    "Python: one with a default before others": (
        "a.py",
        "def f(a=0, c=1):\n    return a\n\nf(1)\nf(1, 2)\n",
        ("a=0, c", "a=0, b=5, c"),
        "def f(a=0, b=5, c=1):\n    return a\n\nf(1)\nf(1, c=2)\n",
    ),
    "Python: a keyword-only parameter": (
        "a.py",
        "def f(a):\n    return a\n\nf(1)\n",
        ("f(a)", "f(a, *, deep)"),
        "def f(a, *, deep):\n    return a\n\nf(1, deep=...)\n",
    ),
    "Python: a parameter is removed": (
        "a.py",
        "def f(a, b, c=1):\n    return a\n\nf(1, 2)\nf(1, 2, c=3)\nf(a=1, b=2)\nf(1, 2, 3)\n",
        ("a, b, c", "a, c"),
        "def f(a, c=1):\n    return a\n\nf(1)\nf(1, c=3)\nf(a=1)\nf(1, 3)\n",
    ),
    "Python: a parameter is renamed, in keywords and in the body": (
        "a.py",
        "def f(a, b):\n    return a + b\n\nf(1, b=2)\nf(1, 2)\n",
        ("a, b", "a, other"),
        "def f(a, other):\n    return a + other\n\nf(1, other=2)\nf(1, 2)\n",
    ),
    "Python: the order is another one": (
        "a.py",
        "def f(a, b):\n    return a\n\nf(1, 2)\nf(g(1, 2), [3, 4])\nf(a=1, b=2)\n",
        ("a, b", "b, a"),
        "def f(b, a):\n    return a\n\nf(2, 1)\nf([3, 4], g(1, 2))\nf(a=1, b=2)\n",
    ),
    "Python: the first argument": (
        "a.py",
        "def f():\n    return 1\n\nf()\nf(\n)\n",
        ("f()", "f(a)"),
        "def f(a):\n    return 1\n\nf(...)\nf(...)\n",
    ),
    "Python: the only argument goes, with its comma": (
        "a.py",
        "def f(a):\n    return 1\n\nf(\n    1,\n)\nf(1,)\n",
        ("f(a)", "f()"),
        "def f():\n    return 1\n\nf()\nf()\n",
    ),
    "Python: calls keep their layout": (
        "a.py",
        "def f(a, c):\n    return a\n\nf(\n    1,\n    2,\n)\nf(1,\n  2)\nf(1, 2,)\n",
        ("a, c", "a, b, c"),
        "def f(a, b, c):\n    return a\n\nf(\n    1,\n    ...,\n    2,\n)\nf(1,\n  ...,\n  2)\nf(1, ..., 2,)\n",
    ),
    "Python: no comment is lost": (
        "a.py",
        "def f(a, c):\n    return a\n\nf(1,  # one\n  2)\nf(1, 2  # two\n)\nf(  # none\n  1, 2)\n",
        ("a, c", "c, a"),
        None,
    ),
    "TypeScript: no comment is lost": (
        "a.ts",
        "function f(a: number, c: number) {}\nf(1 /* one */, 2);\nf(/* first */ 1, 2);\n",
        ("a: number, c", "b: number, a: number, c"),
        None,
    ),
    "Python: a method without its receiver, and the method that overrides it": (
        "a.py",
        "class A:\n    def f(self, a):\n        return self.f(a)\n\n\nclass B(A):\n    def f(self, a):\n"
        "        return 1\n",
        ("self, a", "self, a, b"),
        "class A:\n    def f(self, a, b):\n        return self.f(a, b)\n\n\n"
        "class B(A):\n    def f(self, a, b):\n        return 1\n",
    ),
    "Python: a constructor": (
        "a.py",
        "class A:\n    def __init__(self, a):\n        self.a = a\n\n\nA(1)\n",
        ("self, a)", "self, a, b)"),
        "class A:\n    def __init__(self, a, b):\n        self.a = a\n\n\nA(1, ...)\n",
    ),
    "Python: a head over several lines, and a call over several": (
        "a.py",
        "def f(\n    a,\n    b,\n):\n    return a\n\nf(\n    1,\n    2,\n)\n",
        ("    b,\n)", "    b,\n    c,\n)"),
        "def f(\n    a,\n    b,\n    c,\n):\n    return a\n\nf(\n    1,\n    2,\n    ...,\n)\n",
    ),
    "Python: calls with a star are left alone": (
        "a.py",
        "def f(a):\n    return a\n\nf(*x)\nf(**x)\nf(1)\n",
        ("f(a)", "f(a, b)"),
        "def f(a, b):\n    return a\n\nf(*x)\nf(**x)\nf(1, ...)\n",
    ),
    "TypeScript: a parameter is added": (
        "a.ts",
        "function f(a: number): void {}\nf(1);\nf(g<A, B>(1, 2));\n",
        ("a: number)", "a: number, b: Map<string, A>)"),
        "function f(a: number, b: Map<string, A>): void {}\nf(1, undefined);\nf(g<A, B>(1, 2), undefined);\n",
    ),
    "TypeScript: an optional one needs nothing": (
        "a.ts",
        "function f(a: number): void {}\nf(1);\n",
        ("a: number)", "a: number, b?: string)"),
        None,
    ),
    "TypeScript: a parameter is removed from a method": (
        "a.ts",
        "class T {\n  f(a: number, b: string) { return this.f(a, b); }\n}\nnew T().f(1, `${x}, ${y}`);\n",
        ("a: number, b", "b"),
        "class T {\n  f(b: string) { return this.f(b); }\n}\nnew T().f(`${x}, ${y}`);\n",
    ),
    "TypeScript: an arrow function": (
        "a.ts",
        "const f = (a: number, b: number) => a - b;\nf(1, 2);\n",
        ("a: number, b: number", "b: number, a: number"),
        "const f = (b: number, a: number) => a - b;\nf(2, 1);\n",
    ),
    "Rust: a parameter is added": (
        "a.rs",
        "fn f(a: u8) -> u8 { a }\nfn g() {\n    f(1);\n    f(vec![1, 2]);\n}\n",
        ("a: u8)", "a: u8, b: Option<u8>)"),
        "fn f(a: u8, b: Option<u8>) -> u8 { a }\nfn g() {\n    f(1, todo!());\n    f(vec![1, 2], todo!());\n}\n",
    ),
    "Rust: a method's parameter is removed": (
        "a.rs",
        "impl P {\n    fn f(&self, a: u8, b: u8) -> u8 { self.f(a, b) }\n}\n",
        ("a: u8, b: u8", "a: u8"),
        "impl P {\n    fn f(&self, a: u8) -> u8 { self.f(a) }\n}\n",
    ),
    "Zig: a parameter is added": (
        "a.zig",
        "fn f(a: u8) void {}\nfn g(gpa: A) void {\n    f(1);\n}\n",
        ("f(a: u8)", "f(gpa: A, a: u8)"),
        "fn f(gpa: A, a: u8) void {}\nfn g(gpa: A) void {\n    f(gpa, 1);\n}\n",
    ),
    "Zig: a method of a type": (
        "a.zig",
        "const P = struct {\n    fn f(self: *P, a: u8, b: u8) void {}\n};\nfn g(p: *P) void {\n    p.f(1, 2);\n}\n",
        ("a: u8, b: u8", "b: u8, a: u8"),
        "const P = struct {\n    fn f(self: *P, b: u8, a: u8) void {}\n};\nfn g(p: *P) void {\n    p.f(2, 1);\n}\n",
    ),
}


@pytest.mark.parametrize("name", IN_ONE_FILE)
async def test_the_calls_follow(name: str, tmp_path: Path) -> None:
    file, before, (old, new), after = IN_ONE_FILE[name]
    shop = await project(tmp_path, {file: before})
    shop.edit(file, old, new)
    assert await shop.followed() == ({} if after is None else {file: after})


async def test_calls_in_other_files_follow(tmp_path: Path) -> None:
    files = {
        "store.py": "def open_store(path):\n    return path\n",
        "a.py": "import store\nfrom store import open_store\n\nopen_store('a')\nstore.open_store('b')\n"
        "x.open_store('c')\n",
    }
    shop = await project(tmp_path, files)
    shop.edit("store.py", "(path)", "(path, mode)")
    assert await shop.followed() == {
        "a.py": "import store\nfrom store import open_store\n\nopen_store('a', ...)\nstore.open_store('b', ...)\n"
        "x.open_store('c')\n"
    }


async def test_a_placeholder_is_said_to_be_one_and_is_less_sure(tmp_path: Path) -> None:
    shop = await project(tmp_path, {"a.py": "def f(a): ...\n\ndef g(b):\n    f(1)\n\nf(1)\n"})
    shop.edit("a.py", "f(a)", "f(a, b)")
    named, placeholder = await shop.proposals()
    assert (named.new, named.placeholder, placeholder.new, placeholder.placeholder) == ("1, b", False, "1, ...", True)
    assert named.confidence > placeholder.confidence
    assert named.reason == "`f` has a new parameter `b`."


async def test_overrides_in_other_files_follow(tmp_path: Path) -> None:
    files = {
        "base.py": "class Base:\n    def go(self, a):\n        return a\n",
        "a.py": "from base import Base\n\n\nclass A(Base):\n    def go(self, a):\n        return 1\n\n\n"
        "class B:\n    def go(self, a):\n        return 2\n",
    }
    shop = await project(tmp_path, files)
    shop.edit("base.py", "self, a", "self, a, b=1")
    assert await shop.followed() == {
        "a.py": "from base import Base\n\n\nclass A(Base):\n    def go(self, a, b=1):\n        return 1\n\n\n"
        "class B:\n    def go(self, a):\n        return 2\n"
    }
