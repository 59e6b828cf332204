"""A name was changed where it is defined: its other places follow, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from next_edit_harness import applied, project

# (name, before, replaced, by, what the file becomes once all proposals are taken)
IN_ONE_FILE = {
    "Python: a parameter, in strings with holes, but not in strings, comments, arguments' names or inner functions": (
        "a.py",
        'def load(x, y=1):\n    # x\n    z = f"{x} x {y!r}"\n    def inner(x):\n        return x\n    foo(x=x)\n'
        "    return x.x + x\n\nx = load(1)\n",
        ("load(x", "load(value"),
        'def load(value, y=1):\n    # x\n    z = f"{value} x {y!r}"\n    def inner(x):\n        return x\n'
        "    foo(x=value)\n    return value.x + value\n\nx = load(1)\n",
    ),
    "Python: a function, in __all__ too, but not a method that is called so": (
        "a.py",
        '__all__ = ["load"]\ndef load(x):\n    return 1\nclass A:\n    def load(self): return load(3)\n'
        "print(A().load, f'{load(3)}', 'load')\n",
        ("def load(x", "def read(x"),
        '__all__ = ["read"]\ndef read(x):\n    return 1\nclass A:\n    def load(self): return read(3)\n'
        "print(A().load, f'{read(3)}', 'load')\n",
    ),
    "Python: a local variable stays within its function": (
        "a.py",
        "def one():\n    total = 0\n    for each in ():\n        total += each\n    return total\n\n\n"
        "def two():\n    total = 1\n    return total\n",
        ("    total = 0", "    count = 0"),
        "def one():\n    count = 0\n    for each in ():\n        count += each\n    return count\n\n\n"
        "def two():\n    total = 1\n    return total\n",
    ),
    "Python: a method, where it is called on self and elsewhere": (
        "a.py",
        "class A:\n    def go(self):\n        return 1\n\n    def all(self):\n        return self.go() + go(1)\n\n\n"
        "def go(x):\n    return A().go()\n",
        ("def go(self", "def run(self"),
        "class A:\n    def run(self):\n        return 1\n\n    def all(self):\n        return self.run() + go(1)\n\n\n"
        "def go(x):\n    return A().run()\n",
    ),
    "Python: an attribute where it is first set": (
        "a.py",
        "class A:\n    def __init__(self, size):\n        self.size = size\n\n    def twice(self):\n"
        "        return 2 * self.size\n",
        ("self.size =", "self.length ="),
        "class A:\n    def __init__(self, size):\n        self.length = size\n\n    def twice(self):\n"
        "        return 2 * self.length\n",
    ),
    "Python: a method that two types have is renamed on self alone": (
        "a.py",
        "class A:\n    def go(self): return self.go()\n\nclass B:\n    def go(self): return self.go()\n\nB().go()\n",
        ("def go(self", "def run(self"),
        "class A:\n    def run(self): return self.run()\n\nclass B:\n    def go(self): return self.go()\n\nB().go()\n",
    ),
    "Python: a class in annotations": (
        "a.py",
        "class Item:\n    pass\n\ndef make(old: Item | None = None) -> Item:\n    return old or Item()\n",
        ("class Item", "class Thing"),
        "class Thing:\n    pass\n\ndef make(old: Thing | None = None) -> Thing:\n    return old or Thing()\n",
    ),
    "Python: a loop variable": (
        "a.py",
        "def f(rows):\n    for row in rows:\n        print(row.row, row)\n    return [row for row in rows]\n",
        ("for row in", "for line in"),
        "def f(rows):\n    for line in rows:\n        print(line.row, line)\n    return [row for row in rows]\n",
    ),
    "Python: a lambda's parameter hides the name": (
        "a.py",
        "def f(key):\n    return sorted([], key=lambda key: key.a), key\n",
        ("f(key", "f(name"),
        "def f(name):\n    return sorted([], key=lambda key: key.a), name\n",
    ),
    "Python: a constant": (
        "a.py",
        "LIMIT = 3\n\ndef f(limit=LIMIT):\n    return limit < LIMIT\n",
        ("LIMIT = ", "MOST = "),
        "MOST = 3\n\ndef f(limit=MOST):\n    return limit < MOST\n",
    ),
    "TypeScript: a parameter, in templates and shorthands, but not as a key, nor where another function has it": (
        "a.ts",
        "export function load(a: number, opts: {a: string}) {\n  const b = a + 1;\n  const c = { a, b };\n"
        "  const f = (a) => a + 1;\n  return `x ${a} a` + c.a;\n}\n",
        ("load(a", "load(count"),
        "export function load(count: number, opts: {a: string}) {\n  const b = count + 1;\n"
        "  const c = { a: count, b };\n"
        "  const f = (a) => a + 1;\n  return `x ${count} a` + c.a;\n}\n",
    ),
    "TypeScript: a constant stays within its block": (
        "a.ts",
        "function f() {\n  if (x) {\n    const item = 1;\n    use(item);\n  }\n  const item = 2;\n  return item;\n}\n",
        ("const item = 1", "const entry = 1"),
        "function f() {\n  if (x) {\n    const entry = 1;\n    use(entry);\n  }\n  const item = 2;\n"
        "  return item;\n}\n",
    ),
    "TypeScript: a function, not the method of the same name": (
        "a.ts",
        "function load(): void {}\nclass T {\n  load() { return load(); }\n}\nnew T().load();\nload();\n",
        ("function load", "function fetchAll"),
        "function fetchAll(): void {}\nclass T {\n  load() { return fetchAll(); }\n}\nnew T().load();\nfetchAll();\n",
    ),
    "TypeScript: a method": (
        "a.ts",
        "class T {\n  size(): number { return 1; }\n  twice() { return 2 * this.size(); }\n}\nnew T().size();\n",
        ("  size()", "  length()"),
        "class T {\n  length(): number { return 1; }\n  twice() { return 2 * this.length(); }\n}\nnew T().length();\n",
    ),
    "TypeScript: an interface": (
        "a.ts",
        "interface Item { id: string }\nexport const all: Item[] = [];\nfunction f(x: Map<string, Item>): Item { }\n",
        ("interface Item", "interface Entry"),
        "interface Entry { id: string }\nexport const all: Entry[] = [];\n"
        "function f(x: Map<string, Entry>): Entry { }\n",
    ),
    "TypeScript: an arrow function's parameter": (
        "a.ts",
        "const f = (row: Row) => {\n  log(row);\n  return row.row;\n};\nlog(row);\n",
        ("(row: Row", "(line: Row"),
        "const f = (line: Row) => {\n  log(line);\n  return line.row;\n};\nlog(row);\n",
    ),
    "Rust: a local, and a field in short": (
        "a.rs",
        "struct P { x: i32 }\nfn foo() -> P {\n    let x = 1;\n    bar(x);\n    P { x }\n}\nfn bar(x: i32) { x; }\n",
        ("let x", "let left"),
        "struct P { x: i32 }\nfn foo() -> P {\n    let left = 1;\n    bar(left);\n    P { x: left }\n}\n"
        "fn bar(x: i32) { x; }\n",
    ),
    "Rust: a function, not in strings": (
        "a.rs",
        'fn read_all(n: usize) -> usize { n }\nfn main() {\n    let n = read_all(2); // read_all\n    "read_all";\n}\n',
        ("fn read_all", "fn read_some"),
        "fn read_some(n: usize) -> usize { n }\nfn main() {\n    let n = read_some(2); // read_all\n"
        '    "read_all";\n}\n',
    ),
    "Rust: a type and its impl": (
        "a.rs",
        "pub struct Node { next: Option<Box<Node>> }\nimpl Node {\n    fn new() -> Node { Node { next: None } }\n}\n",
        ("struct Node", "struct Link"),
        "pub struct Link { next: Option<Box<Link>> }\nimpl Link {\n    fn new() -> Link { Link { next: None } }\n}\n",
    ),
    "Rust: a parameter": (
        "a.rs",
        "fn f<'a>(name: &'a str, n: u8) -> &'a str {\n    if n > 1 { return name; }\n    name.trim()\n}\n",
        ("(name", "(text"),
        "fn f<'a>(text: &'a str, n: u8) -> &'a str {\n    if n > 1 { return text; }\n    text.trim()\n}\n",
    ),
    "Rust: a field": (
        "a.rs",
        "struct P {\n    left: i32,\n}\nimpl P {\n    fn sum(&self) -> i32 { self.left + self.left }\n}\n",
        ("    left: i32", "    first: i32"),
        "struct P {\n    first: i32,\n}\nimpl P {\n    fn sum(&self) -> i32 { self.first + self.first }\n}\n",
    ),
    "Zig: a method": (
        "a.zig",
        "pub const Foo = struct {\n    len: usize,\n    pub fn size(self: Foo) usize { return self.len; }\n};\n"
        "fn bar(f: Foo) usize { const n = f.size(); return n; }\n",
        ("pub fn size", "pub fn total"),
        "pub const Foo = struct {\n    len: usize,\n    pub fn total(self: Foo) usize { return self.len; }\n};\n"
        "fn bar(f: Foo) usize { const n = f.total(); return n; }\n",
    ),
    "Zig: a type": (
        "a.zig",
        "pub const Foo = struct {\n    pub fn init() Foo { return Foo{}; }\n};\nconst all = [_]Foo{};\n",
        ("const Foo", "const Bar"),
        "pub const Bar = struct {\n    pub fn init() Bar { return Bar{}; }\n};\nconst all = [_]Bar{};\n",
    ),
    "Zig: a local and its capture": (
        "a.zig",
        "fn f(items: []u8) void {\n    const count = items.len;\n    use(count);\n    use(.{ .count = count });\n}\n",
        ("const count", "const n"),
        "fn f(items: []u8) void {\n    const n = items.len;\n    use(n);\n    use(.{ .count = n });\n}\n",
    ),
    "Zig: a parameter": (
        "a.zig",
        "fn f(comptime T: type, items: []const T) T {\n    return items[0];\n}\nconst items = f;\n",
        (", items", ", values"),
        "fn f(comptime T: type, values: []const T) T {\n    return values[0];\n}\nconst items = f;\n",
    ),
    "Python: a variable that is bound again": (
        "a.py",
        "def f(x):\n    if x:\n        n = 1\n    else:\n        n = 2\n    return n\n",
        ("        n = 1", "        m = 1"),
        "def f(x):\n    if x:\n        m = 1\n    else:\n        m = 2\n    return m\n",
    ),
    "Windows line ends": (
        "a.py",
        "def f(x):\r\n    return x\r\n",
        ("f(x", "f(y"),
        "def f(y):\r\n    return y\r\n",
    ),
}

NOTHING = {
    "a use is given another name that is known": ("a.py", "def f(a, b):\n    g(a)\n    h(a)\n", ("g(a", "g(b")),
    "the new name is another thing's already": ("a.py", "def f(a):\n    b = 1\n    return a + b\n", ("f(a", "f(b")),
    "another one comes first": ("a.py", "n = 1\nprint(n)\nn = 2\nprint(n)\n", ("n = 2", "m = 2")),
    "only a keyword has changed": ("a.ts", "let a = 1;\nuse(a);\n", ("let", "const")),
    "only a string has changed": ("a.py", "x = 'a'\ny = 'a'\nprint(a)\n", ("'a'", "'b'")),
    "only a comment has changed": ("a.py", "# load it\ndef load(): ...\nload()\n", ("# load", "# read")),
    "the name is gone": ("a.py", "def f(a, b):\n    return a\n", ("f(a, b", "f(a, ")),
}


@pytest.mark.parametrize("name", IN_ONE_FILE)
async def test_the_other_places_follow(name: str, tmp_path: Path) -> None:
    file, before, (old, new), after = IN_ONE_FILE[name]
    shop = await project(tmp_path, {file: before})
    shop.edit(file, old, new)
    assert await shop.followed() == {file: after}


@pytest.mark.parametrize("name", NOTHING)
async def test_nothing_follows(name: str, tmp_path: Path) -> None:
    file, before, (old, new) = NOTHING[name]
    shop = await project(tmp_path, {file: before})
    shop.edit(file, old, new)
    assert [each for each in await shop.proposals() if each.kind == "rename"] == []


ACROSS = {
    "Python: importers, by name and by module, and what gives the name on": (
        {
            "shop/__init__.py": "from .store import open_store\n",
            "shop/store.py": "def open_store(path):\n    return path\n",
            "shop/a.py": "from shop.store import open_store, other\n\nopen_store(1)\n",
            "shop/b.py": "from shop import store\n\nstore.open_store(1)\nx.open_store(2)\n",
            "shop/c.py": "from shop import open_store\n\nopen_store(1)\n",
            "shop/d.py": "from shop.store import open_store as o\n\no(1)\nopen_store = 2\n",
            "shop/e.py": "def open_store(): ...\nopen_store()\n",
        },
        ("shop/store.py", "def open_store", "def open_shop"),
        {
            "shop/__init__.py": "from .store import open_shop\n",
            "shop/a.py": "from shop.store import open_shop, other\n\nopen_shop(1)\n",
            "shop/b.py": "from shop import store\n\nstore.open_shop(1)\nx.open_store(2)\n",
            "shop/c.py": "from shop import open_shop\n\nopen_shop(1)\n",
            "shop/d.py": "from shop.store import open_shop as o\n\no(1)\nopen_store = 2\n",
        },
    ),
    "Python: a method that nothing else in the project is called like": (
        {
            "store.py": "class Store:\n    def fetch_row(self): ...\n",
            "a.py": "from store import Store\n\nStore().fetch_row()\nfetch_row()\n",
        },
        ("store.py", "def fetch_row", "def fetch_line"),
        {"a.py": "from store import Store\n\nStore().fetch_line()\nfetch_row()\n"},
    ),
    "Python: a method that another type has too stays as it is elsewhere": (
        {
            "store.py": "class Store:\n    def fetch_row(self): ...\n",
            "a.py": "from store import Store\n\nclass Other:\n    def fetch_row(self): ...\n\nStore().fetch_row()\n",
        },
        ("store.py", "def fetch_row", "def fetch_line"),
        {},
    ),
    "TypeScript: importers, and a local name that hides it": (
        {
            "src/store.ts": "export function openStore(path: string) { return path; }\n",
            "src/a.ts": 'import { openStore } from "./store";\n\nopenStore("a");\nconst o = { openStore };\n',
            "src/b.ts": 'import * as store from "./store";\n\nstore.openStore("a");\n',
            "src/c.ts": 'import { openStore } from "./store";\nfunction f(openStore) { return openStore; }\n',
        },
        ("src/store.ts", "function openStore", "function openShop"),
        {
            "src/a.ts": 'import { openShop } from "./store";\n\nopenShop("a");\nconst o = { openStore: openShop };\n',
            "src/b.ts": 'import * as store from "./store";\n\nstore.openShop("a");\n',
            "src/c.ts": 'import { openShop } from "./store";\nfunction f(openStore) { return openStore; }\n',
        },
    ),
    "Rust: by path and by use": (
        {
            "Cargo.toml": '[package]\nname = "shop"\nversion = "0.1.0"\n',
            "src/lib.rs": "pub mod store;\nmod a;\n",
            "src/store.rs": "pub fn open_store() {}\n",
            "src/a.rs": "use crate::store::open_store;\n\nfn f() {\n    open_store();\n"
            "    crate::store::open_store();\n}\n",
        },
        ("src/store.rs", "fn open_store", "fn open_shop"),
        {"src/a.rs": "use crate::store::open_shop;\n\nfn f() {\n    open_shop();\n    crate::store::open_shop();\n}\n"},
    ),
    "Zig: by the import's name": (
        {
            "store.zig": "pub fn openStore() void {}\n",
            "a.zig": 'const store = @import("store.zig");\n\nfn f() void {\n    store.openStore();\n'
            "    x.openStore();\n}\n",
        },
        ("store.zig", "fn openStore", "fn openShop"),
        {
            "a.zig": 'const store = @import("store.zig");\n\nfn f() void {\n    store.openShop();\n'
            "    x.openStore();\n}\n"
        },
    ),
}


@pytest.mark.parametrize("name", ACROSS)
async def test_other_files_follow(name: str, tmp_path: Path) -> None:
    files, (file, old, new), after = ACROSS[name]
    shop = await project(tmp_path, files)
    shop.edit(file, old, new)
    assert await shop.followed() == after


async def test_a_name_that_is_typed_letter_by_letter_is_one_rename(tmp_path: Path) -> None:
    shop = await project(tmp_path, {"a.py": "def f(x):\n    return x + x\n"})
    shop.edit("a.py", "f(x", "f(")
    for before, after in (("f(", "f(v"), ("f(v", "f(va"), ("f(va", "f(val")):
        shop.edit("a.py", before, after)
    assert await shop.followed() == {"a.py": "def f(val):\n    return val + val\n"}


async def test_the_nearest_behind_the_cursor_comes_first(tmp_path: Path) -> None:
    shop = await project(tmp_path, {"a.py": "print(f)\n\ndef f(): ...\n\nf()\nf()\n"})
    shop.edit("a.py", "def f(", "def go(")
    assert [each.line for each in await shop.proposals()] == [4, 5, 0]


async def test_places_are_followed_one_by_one(tmp_path: Path) -> None:
    """What follows a rename is no clash with it."""
    files = {
        "store.py": "print(load)\n\n\ndef load(key):\n    return key\n\n\nload(1)\n[load]\n" + "\n\n{load}\n" * 9,
        "user.py": "from store import load\n\nload(3)\n",
    }
    shop = await project(tmp_path, files)
    shop.edit("store.py", "def load", "def read")
    seen = []
    while found := await shop.proposals():
        first = found[0]
        seen.append((str(first.path), first.line, first.kind))
        if first.path.name == "store.py":
            shop.edit("store.py", *first.lines)
        else:
            shop.files.update(applied(shop.files, [first]))
    here = [7, 8, *range(11, 36, 3), 0]
    kept = [*(("store.py", line) for line in here), ("user.py", 0), ("user.py", 2)]
    assert seen == [(*place, "rename") for place in kept]
