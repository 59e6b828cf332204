"""textDocument/definition, textDocument/references and textDocument/hover."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from lsp_harness import INLINE, Client, connected, make_host
from navigation_harness import SHOP, parsed

ORDERS, STORAGE, WEB = "shop/orders.py", "shop/storage.py", "web/orders.ts"


@asynccontextmanager
async def editor(root: Path, files: Mapping[str, str] = SHOP, capabilities: object = INLINE) -> AsyncIterator[Client]:
    """An editor with these files' folder open."""
    async with connected(make_host(index=await parsed(root, files))) as client:
        await client.initialize(capabilities, workspaceFolders=[{"uri": root.as_uri(), "name": ""}])
        yield client


def place(uri: str, text: str, mark: str, within: int = 0) -> dict[str, Any]:
    """The parameters for where `mark` begins, plus some characters (UTF-16)."""
    before = text[: text.index(mark)]
    line = before.rpartition("\n")[2]
    position = {"line": before.count("\n"), "character": len(line.encode("utf-16-le")) // 2 + within}
    return {"textDocument": {"uri": uri}, "position": position}


async def found(client: Client, root: Path, params: object, method: str = "definition") -> list[tuple[str, int, int]]:
    """(path, line, character) of each location."""
    locations = await client.request(f"textDocument/{method}", params)
    return [shown(root, each) for each in locations]


def shown(root: Path, location: dict[str, Any]) -> tuple[str, int, int]:
    start = location["range"]["start"]
    return location["uri"].removeprefix(root.as_uri() + "/"), start["line"], start["character"]


@pytest.mark.parametrize(
    ("path", "mark", "expected"),
    [
        (ORDERS, "open_store(found)", [(STORAGE, 14, 4)]),  # imported; web/orders.ts has one, too
        (ORDERS, "Storage, open", [(STORAGE, 3, 6)]),
        (ORDERS, "load_item(item)", [(STORAGE, 6, 8)]),  # of something unknown: by its name
        (ORDERS, "storage import", [(STORAGE, 0, 0)]),  # a module: its file
        (ORDERS, "found)\n", [(ORDERS, 4, 4)]),  # a variable
        (ORDERS, "item)\n    '", [(ORDERS, 3, 25)]),  # a parameter
        (ORDERS, "place_order(Storage", [(ORDERS, 3, 4)]),
        (STORAGE, "_read(name)\n\n", [(STORAGE, 10, 8)]),  # self's
        (STORAGE, "Storage:", [(STORAGE, 3, 6)]),  # the definition itself
        (WEB, "open_store(item)", [(WEB, 3, 9)]),
        (STORAGE, "return path", []),
        (STORAGE, "  return self", []),
    ],
)
async def test_a_name_leads_to_what_it_means_where_it_stands(
    path: str, mark: str, expected: list[tuple[str, int, int]], tmp_path: Path
) -> None:
    async with editor(tmp_path) as client:
        uri = (tmp_path / path).as_uri()
        client.open(uri, SHOP[path])
        assert await found(client, tmp_path, place(uri, SHOP[path], mark)) == expected


@pytest.mark.parametrize(
    ("path", "mark", "expected"),
    [
        ("kit/use.py", "user import", [("kit/user.py", 0, 0)]),
        ("kit/use.py", "user\nfrom", [("kit/user.py", 1, 4)]),
        ("kit/use.py", "base import", [("kit/base.py", 0, 0)]),
        ("kit/use.py", "count + 1", [("kit/base.py", 2, 13)]),  # bound by the base, in another file
        ("kit/use.py", "label)", [("kit/use.py", 5, 13)]),
        ("web/page.ts", "Card }", [("web/Card.ts", 1, 13)]),
        ("web/page.ts", "Card.js", [("web/Card.ts", 0, 0)]),
        ("web/page.ts", "item.at", [("web/page.ts", 5, 16)]),
        ("src/lib.rs", "shape;", [("src/shape.rs", 0, 0)]),
        ("src/lib.rs", "place;", [("src/odd/place.rs", 0, 0)]),
        ("src/lib.rs", "child::kid", [("src/odd/child.rs", 0, 0)]),
        ("src/lib.rs", "kid;", [("src/odd/child.rs", 1, 7)]),
        ("main.zig", "run(2)", [("main.zig", 0, 3)]),
        ("kit/use.py", "start()", [("kit/base.py", 1, 8)]),
        ("web/Card.ts", "draw(); }", [("web/Card.ts", 1, 20)]),
    ],
)
async def test_modules_attributes_and_parameters_are_told_apart(
    path: str, mark: str, expected: list[tuple[str, int, int]], tmp_path: Path
) -> None:
    files = {
        "kit/__init__.py": "",
        "kit/user.py": "\ndef user(): ...\n",
        "kit/base.py": "class Base:\n    def start(self):\n        self.count: int = 0\n",
        "kit/use.py": (
            "from .user import user\nfrom .base import Base\n\nclass Use(Base):\n    def go(self):\n"
            "        self.label = 'x'\n        self.count + 1\n        print(self.label)\n"
            "    def start(self):\n        super().start()\n"
        ),
        "web/Card.ts": "\nexport class Card { draw() {} }\nclass Own extends Card { draw() { super.draw(); } }\n",
        "web/page.ts": (
            'import {\n  Card } from "./Card.js";\nexport const item = 1;\n'
            "export function page(all: Card[]) {\n  return all\n    .filter((x, item) => item.at(x));\n}\n"
        ),
        "Cargo.toml": "[package]\nname = 'x'\nedition = '2021'\n",
        "src/lib.rs": 'mod shape;\n#[path = "odd/place.rs"]\nmod place;\nuse place::child::kid;\n',
        "src/shape.rs": "",
        "src/odd/place.rs": "pub mod child;\n",
        "src/odd/child.rs": "\npub fn kid() {}\n",
        "main.zig": 'fn run(n: u8) void {}\ntest "it" {\n    run(2);\n}\n',
    }
    async with editor(tmp_path, files) as client:
        uri = (tmp_path / path).as_uri()
        client.open(uri, files[path])
        assert await found(client, tmp_path, place(uri, files[path], mark)) == expected


async def test_a_name_that_nothing_resolves_leads_to_all_of_that_name_in_the_language_closest_first(
    tmp_path: Path,
) -> None:
    files = {
        "far/away/a.py": "class A:\n    def run_it(self): ...\n",
        "near/b.py": "class B:\n    def run_it(self): ...\n",
        "near/run_it.py": "def run_it(): ...\n",
        "near/c.js": "class C { run_it() {} }\n",
        "near/use.py": "def go(thing):\n    thing.run_it()\n",
    }
    async with editor(tmp_path, files) as client:
        params = place((tmp_path / "near/use.py").as_uri(), files["near/use.py"], "run_it")
        paths = [path for path, _, _ in await found(client, tmp_path, params)]
    assert paths == ["near/b.py", "far/away/a.py", "near/run_it.py"]


async def test_an_unsaved_documents_text_says_which_name_is_meant(tmp_path: Path) -> None:
    async with editor(tmp_path) as client:
        uri = (tmp_path / "new.py").as_uri()
        text = "from shop.storage import Storage\n\n'😀'; Storage\n"
        client.open(uri, text)
        params = place(uri, text, "Storage\n", within=3)
        assert await found(client, tmp_path, params) == [(STORAGE, 3, 6)]


@pytest.mark.parametrize("declaration", [True, False])
async def test_references_are_the_uses_in_the_language_and_the_declaration_if_wanted(
    declaration: bool, tmp_path: Path
) -> None:
    async with editor(tmp_path) as client:
        uri = (tmp_path / ORDERS).as_uri()
        params = place(uri, SHOP[ORDERS], "open_store(found)")
        params["context"] = {"includeDeclaration": declaration}
        uses = [(ORDERS, 0, 34), (ORDERS, 5, 10), *([(STORAGE, 14, 4)] if declaration else []), (STORAGE, 11, 15)]
        assert sorted(await found(client, tmp_path, params, "references")) == sorted(uses)


async def test_references_of_a_variable_stay_in_its_function(tmp_path: Path) -> None:
    async with editor(tmp_path) as client:
        uri = (tmp_path / STORAGE).as_uri()
        params = place(uri, SHOP[STORAGE], "name):\n        return open")
        params["context"] = {"includeDeclaration": True}
        assert await found(client, tmp_path, params, "references") == [(STORAGE, 10, 20), (STORAGE, 11, 26)]


async def test_many_references_come_in_parts_where_the_client_asks_for_that(tmp_path: Path) -> None:
    files = {"a.py": "def called(): ...\n", **{f"b{number}.py": "called()\n" for number in range(130)}}
    async with editor(tmp_path, files) as client:
        params = place((tmp_path / "a.py").as_uri(), files["a.py"], "called")
        params |= {"context": {"includeDeclaration": False}, "partialResultToken": 7}
        assert await client.request("textDocument/references", params) == []
        parts = [await client.notice("$/progress") for _ in range(3)]
    assert [len(part["value"]) for part in parts] == [50, 50, 30]


async def test_a_hover_shows_head_documentation_and_place(tmp_path: Path) -> None:
    capabilities = {"textDocument": {"hover": {"contentFormat": ["markdown", "plaintext"]}}}
    async with editor(tmp_path, capabilities=capabilities) as client:
        uri = (tmp_path / ORDERS).as_uri()
        hover = await client.request("textDocument/hover", place(uri, SHOP[ORDERS], "load_item"))
    assert hover["contents"] == {
        "kind": "markdown",
        "value": "```python\ndef load_item(self, name)\n```\n\nGet one thing.\n\n`shop/storage.py:7`",
    }
    assert hover["range"] == {"start": {"line": 4, "character": 20}, "end": {"line": 4, "character": 29}}


async def test_a_hover_is_plain_text_for_other_clients_and_nothing_in_prose(tmp_path: Path) -> None:
    async with editor(tmp_path) as client:
        uri = (tmp_path / ORDERS).as_uri()
        hover = await client.request("textDocument/hover", place(uri, SHOP[ORDERS], "Storage,"))
        prose = place((tmp_path / "README.md").as_uri(), SHOP["README.md"], "open_store")
        assert await client.request("textDocument/hover", prose) is None
        assert await found(client, tmp_path, prose) != []
    assert hover["contents"] == {
        "kind": "plaintext",
        "value": "class Storage\nKeeps things by name.\nshop/storage.py:4",
    }


async def test_what_a_project_says_does_not_end_the_block_that_it_is_shown_in(tmp_path: Path) -> None:
    capabilities = {"textDocument": {"hover": {"contentFormat": ["markdown"]}}}
    files = {
        "a.js": "function tricky(a = `\\`\\`\\``) { return 1 }\n",
        "b.js": "x = '````'; const y = '````'; tricky()\n",
    }
    async with editor(tmp_path, files, capabilities) as client:
        for name, mark in (("a.js", "tricky"), ("b.js", "y =")):
            hover = await client.request("textDocument/hover", place((tmp_path / name).as_uri(), files[name], mark))
            fence = hover["contents"]["value"].partition("javascript")[0].partition("typescript")[0]
            assert hover["contents"]["value"].count(fence) == 2, hover


async def test_a_language_that_another_server_serves_has_no_answers(tmp_path: Path) -> None:
    host = make_host(index=await parsed(tmp_path, SHOP))
    async with connected(host) as client:
        await client.initialize(initializationOptions={"servedLanguages": ["python"]})
        params = place((tmp_path / ORDERS).as_uri(), SHOP[ORDERS], "open_store(found)")
        assert await client.request("textDocument/definition", params) == []
        assert await client.request("textDocument/references", params) == []
        assert await client.request("textDocument/hover", params) is None
        assert await client.request("textDocument/prepareCallHierarchy", params) is None
        typescript = place((tmp_path / WEB).as_uri(), SHOP[WEB], "open_store(item)")
        assert await found(client, tmp_path, typescript) == [(WEB, 3, 9)]
