"""Which definitions change together, in repositories that libgit2 made."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pygit2
import pytest

from ghostd.code_ports import GitHistory, Index
from ghostd.config.projects import HistoryConfig
from ghostd.history.service import open_history
from ghostd.history.symbols import MAX_SYMBOLS, enclosing

P = PurePosixPath
DAY_S = 86_400
TIME_S = 1_700_000_000

CART = """class Cart:
    def add(
        self, item
    ):
        return {add}

    def drop(self, item):
        return {drop}


def total(cart):
    return {total}
"""
PRICES = """def price_of(item):
    return {price}


def tax_of(item):
    return {tax}
"""


class Made:
    """A repository, commit by commit."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.repository = pygit2.init_repository(str(folder), initial_head="main")
        self.values = {"add": 0, "drop": 0, "total": 0, "price": 0, "tax": 0}
        self.count = 0

    def commit(self, *changed: str, files: dict[str, str] | None = None) -> None:
        """Change these values, and write these files."""
        self.count += 1
        for name in changed:
            self.values[name] = self.count
        texts = {"shop/cart.py": CART.format(**self.values), "shop/prices.py": PRICES.format(**self.values)}
        for name, text in (texts | (files or {})).items():
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_text(text)
        index = self.repository.index
        index.add_all()
        author = pygit2.Signature("a", "a@b", TIME_S + self.count * DAY_S, 0)
        parents = [] if self.repository.head_is_unborn else [self.repository.head.target]
        self.repository.create_commit("HEAD", author, author, f"c{self.count}", index.write_tree(), parents)
        index.write()


@pytest.fixture
def made(tmp_path: Path) -> Made:
    made = Made(tmp_path / "project")
    made.commit(files={"shop/many.py": "\n".join(f"def f{n}(): return 0" for n in range(MAX_SYMBOLS + 1))})
    made.commit("add", "price")
    made.commit("add", "price", "tax")
    made.commit("drop", "tax")
    made.commit("add", "price", "total")
    return made


async def found(history: GitHistory, root: Path, path: str, name: str) -> list[tuple[str, int]]:
    rows = await history.symbols_co_changed(root, P(path), name)
    return [(f"{one.path}:{one.name}", one.commits) for one in rows]


async def test_definitions_of_the_same_commits_are_found_the_closest_first(
    made: Made, history: GitHistory, index: Index
) -> None:
    root = made.folder
    await index.add_root(root)
    await index.wait_ready(root)
    await history.wait_read(root)
    assert await found(history, root, "shop/cart.py", "Cart.add") == [
        ("shop/prices.py:price_of", 3), ("shop/cart.py:total", 1), ("shop/prices.py:tax_of", 1),
    ]  # fmt: skip
    assert await found(history, root, "shop/cart.py", "Cart.drop") == [("shop/prices.py:tax_of", 1)]
    assert (await found(history, root, "shop/cart.py", "Cart"))[0] == ("shop/prices.py:price_of", 3)
    rows = await history.symbols_co_changed(root, P("shop/cart.py"), "Cart.add", limit=2)
    assert len(rows) == 2
    assert 1 > rows[0].score > rows[1].score > 0
    assert list(await history.symbols_co_changed(root, P("shop/cart.py"), "Cart.add", limit=2)) == list(rows)
    assert await found(history, root, "shop/many.py", "f0") == []  # its one commit touched too much


async def test_new_commits_are_read_and_what_is_gone_is_not_answered(
    made: Made, history: GitHistory, index: Index
) -> None:
    root = made.folder
    await index.add_root(root)
    await index.wait_ready(root)
    await history.wait_read(root)
    before = dict(await found(history, root, "shop/cart.py", "Cart.add"))
    made.commit("add", "tax")
    await history.wait_read(root)
    after = dict(await found(history, root, "shop/cart.py", "Cart.add"))
    assert (before["shop/prices.py:tax_of"], after["shop/prices.py:tax_of"]) == (1, 2)
    await index.remove_root(root)
    (root / "shop/prices.py").write_text("def price_of(item): return 1\n")
    await index.add_root(root)
    await index.wait_ready(root)
    left = [name for name, _ in await found(history, root, "shop/cart.py", "Cart.add")]
    assert left == ["shop/prices.py:price_of", "shop/cart.py:total"]


async def test_a_renamed_file_keeps_its_history_and_a_second_look_finds_the_same(
    made: Made, index: Index, tmp_path: Path
) -> None:
    root = made.folder
    (root / "shop/prices.py").rename(root / "shop/costs.py")
    made.repository.index.remove("shop/prices.py")
    made.repository.index.add("shop/costs.py")
    author = pygit2.Signature("a", "a@b", TIME_S + 99 * DAY_S, 0)
    tree = made.repository.index.write_tree()
    made.repository.create_commit("HEAD", author, author, "moved", tree, [made.repository.head.target])
    for _ in range(2):
        async with open_history(tmp_path / "caches", HistoryConfig(), index) as history:
            await history.wait_read(root)
            assert ("shop/costs.py:price_of", 3) in await found(history, root, "shop/cart.py", "Cart.add")


@pytest.mark.parametrize(
    ("path", "text", "wanted"),
    [
        (
            "a.ts",
            "export class A {\n  get(a: number): T {\n    g(a)\n    if (a) {\n      b()\n",
            ["A", *["A.get"] * 4],
        ),
        ("a.js", "const f = async (a) => {\n  it('x', () => {\n    g(a)\n", ["f"] * 3),
        (
            "a.rs",
            "impl Show for S<T> {\n    pub fn f(&self)\n    where T: X,\n    {\n        x\n",
            ["S", *["S.f"] * 4],
        ),
        ("a.go", "func (s *S) Do() error {\n\treturn nil\n}\ntype T struct {\n", ["S.Do", "S.Do", "", "T"]),
        ("a.c", "static int f(int a)\n{\n    return g(a);\n}\nint g(int);\n", ["f", "f", "f", "", ""]),
        ("A.java", "public class A {\n    int get(int a) {\n        return b(a);\n", ["A", "A.get", "A.get"]),
        ("a.zig", "pub const S = struct {\n    pub fn f(s: S) void {\n        g(s);\n", ["S", "S.f", "S.f"]),
        ("a.rb", "class A\n  def f\n    g\n  end\n", ["A", "A.f", "A.f", "A"]),
        ("a.md", "class A\n", []),
    ],
)
def test_what_encloses_a_line_is_told_by_indentation(path: str, text: str, wanted: list[str]) -> None:
    assert enclosing(path, text)[: len(wanted)] == wanted


@pytest.mark.parametrize("unit", ["a", "a ", "(", "public ", "a<", "func (", "impl<", "\t", "fn f() ", "  a\n "])
@pytest.mark.parametrize("ending", ["py", "ts", "rs", "go", "java", "c", "zig", "rb", "lua", "sh"])
def test_text_made_to_keep_the_reader_busy_is_read_through(ending: str, unit: str) -> None:
    lines = unit * (300_000 // len(unit))
    assert len(enclosing(f"a.{ending}", lines)) == lines.count("\n") + 1
