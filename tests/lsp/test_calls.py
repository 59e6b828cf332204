"""textDocument/prepareCallHierarchy, callHierarchy/incomingCalls and callHierarchy/outgoingCalls."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from lsp_harness import Client, connected, make_host
from navigation_harness import SHOP, parsed

ORDERS, STORAGE = "shop/orders.py", "shop/storage.py"


@asynccontextmanager
async def editor(root: Path, files: Mapping[str, str] = SHOP) -> AsyncIterator[Client]:
    async with connected(make_host(index=await parsed(root, files))) as client:
        await client.initialize()
        yield client


async def item(client: Client, path: Path, line: int, character: int) -> Any:
    position = {"textDocument": {"uri": path.as_uri()}, "position": {"line": line, "character": character}}
    (found,) = await client.request("textDocument/prepareCallHierarchy", position)
    return found


async def incoming(client: Client, called: object) -> list[tuple[str, list[int]]]:
    """Who calls, and in which lines."""
    calls = await client.request("callHierarchy/incomingCalls", {"item": called})
    return [(call["from"]["name"], [r["start"]["line"] for r in call["fromRanges"]]) for call in calls]


async def outgoing(client: Client, caller: object) -> list[tuple[str, list[int]]]:
    calls = await client.request("callHierarchy/outgoingCalls", {"item": caller})
    return [(call["to"]["name"], [r["start"]["line"] for r in call["fromRanges"]]) for call in calls]


async def test_an_item_is_the_definition_that_the_name_means(tmp_path: Path) -> None:
    async with editor(tmp_path) as client:
        found = await item(client, tmp_path / ORDERS, 5, 12)
    assert (found["name"], found["kind"]) == ("open_store", 12)
    assert found["uri"] == (tmp_path / STORAGE).as_uri()
    assert found["range"] == {"start": {"line": 14, "character": 0}, "end": {"line": 15, "character": 15}}
    assert found["selectionRange"] == {"start": {"line": 14, "character": 4}, "end": {"line": 14, "character": 14}}


async def test_incoming_calls_are_grouped_by_what_encloses_them_and_imports_are_no_calls(tmp_path: Path) -> None:
    async with editor(tmp_path) as client:
        called = await item(client, tmp_path / STORAGE, 14, 6)
        assert await incoming(client, called) == [("_read", [11]), ("place_order", [5])]


async def test_a_call_outside_of_every_definition_comes_from_the_file(tmp_path: Path) -> None:
    async with editor(tmp_path) as client:
        called = await item(client, tmp_path / ORDERS, 3, 6)
        (call,) = await client.request("callHierarchy/incomingCalls", {"item": called})
        assert (call["from"]["name"], call["from"]["kind"]) == ("orders.py", 1)
        for method in ("incomingCalls", "outgoingCalls"):
            assert await client.request(f"callHierarchy/{method}", {"item": call["from"]}) is None


async def test_outgoing_calls_are_the_functions_and_types_that_the_text_calls(tmp_path: Path) -> None:
    async with editor(tmp_path) as client:
        caller = await item(client, tmp_path / ORDERS, 3, 6)
        assert await outgoing(client, caller) == [("load_item", [4]), ("open_store", [5])]
        reader = await item(client, tmp_path / STORAGE, 6, 10)
        assert await outgoing(client, reader) == [("_read", [8])]


async def test_a_file_that_imports_another_function_of_the_name_does_not_call_this_one(tmp_path: Path) -> None:
    files = {
        "a.py": "def send(): ...\n",
        "b.py": "def send(): ...\n",
        "use_a.py": "from a import send\n\n\ndef one():\n    send()\n",
        "use_b.py": "from b import send\n\n\ndef two():\n    send()\n",
        "use_any.py": "def three(x):\n    x.send()\n",
    }
    async with editor(tmp_path, files) as client:
        called = await item(client, tmp_path / "a.py", 0, 5)
        assert {name for name, _ in await incoming(client, called)} == {"one", "three"}
        caller = await item(client, tmp_path / "use_b.py", 3, 5)
        (call,) = await client.request("callHierarchy/outgoingCalls", {"item": caller})
        assert call["to"]["uri"] == (tmp_path / "b.py").as_uri()


async def test_a_function_of_the_same_name_of_another_type_is_not_called(tmp_path: Path) -> None:
    files = {
        "Cargo.toml": "[package]\nname = 'x'\nedition = '2021'\n",
        "src/lib.rs": "mod a;\nmod b;\n",
        "src/a.rs": "pub struct A;\nimpl A { pub fn new() -> Self { A } }\n",
        "src/b.rs": (
            "use crate::a::A as Other;\nuse std::collections::HashMap;\npub struct B;\n"
            "impl B { pub fn new() -> Self { B } }\nfn one() { Other::new(); }\nfn two() { B::new(); }\n"
            "fn three() { String::new(); }\nfn four() { HashMap::new(); }\nfn five<T>() { T::new(); }\n"
            "impl B { fn six() { Self::new(); } fn seven(&self) { crate::c::See::new(); } }\n"
            "mod m { pub struct Dee; pub enum E { String } }\nfn eight() { m::Dee::new(); }\n"
        ),
    }
    async with editor(tmp_path, files) as client:
        called = await item(client, tmp_path / "src/a.rs", 1, 17)
        assert [name for name, _ in await incoming(client, called)] == ["one", "five"]


async def test_calls_are_told_from_mentions_in_each_language(tmp_path: Path) -> None:
    files = {
        "a.rs": (
            "fn run() {}\nmacro_rules! shout { () => {} }\n"
            "fn all() { run(); let f = run; shout!(); generic::<u8>(1); }\nfn generic<T>(_: T) {}\n"
        ),
        "b.rb": "def helper\nend\n\ndef caller\n  helper\nend\n",
        "c.sh": "greet() {\n  echo hi\n}\nmain() {\n  greet\n}\n",
        "e.tsx": "function Icon() {}\nfunction App() { const s: Set<Icon> = x; return <p><Icon size={1} /></p>; }\n",
        "d.go": "package d\n\nfunc work() {}\n\nfunc start() { work() }\n",
    }
    async with editor(tmp_path, files) as client:
        assert await outgoing(client, await item(client, tmp_path / "a.rs", 2, 4)) == [
            ("run", [2]),
            ("shout", [2]),
            ("generic", [2]),
        ]
        assert await outgoing(client, await item(client, tmp_path / "b.rb", 3, 6)) == [("helper", [4])]
        assert await outgoing(client, await item(client, tmp_path / "c.sh", 3, 1)) == [("greet", [4])]
        assert await incoming(client, await item(client, tmp_path / "d.go", 2, 6)) == [("start", [4])]
        (call,) = await client.request(
            "callHierarchy/incomingCalls", {"item": await item(client, tmp_path / "e.tsx", 0, 10)}
        )
        assert (call["from"]["name"], [r["start"]["character"] for r in call["fromRanges"]]) == ("App", [52])


async def test_names_that_could_mean_anything_are_left_out(tmp_path: Path) -> None:
    files = {f"m{number}.py": "class C:\n    def get(self): ...\n" for number in range(9)}
    files["use.py"] = "def caller(x):\n    x.get()\n"
    async with editor(tmp_path, files) as client:
        assert await outgoing(client, await item(client, tmp_path / "use.py", 0, 5)) == []


async def test_what_is_imported_from_outside_of_the_project_is_nothing_in_it(tmp_path: Path) -> None:
    files = {
        "a.py": "class Bag:\n    def get(self): ...\n    def join(self): ...\n\n\ndef echo(): ...\n",
        "use.py": (
            "import os\nimport os.path as p\nfrom click import echo\n\n\n"
            "def caller(bag):\n    os.environ.get(1)\n    p.join()\n    echo()\n    bag.get()\n"
        ),
    }
    async with editor(tmp_path, files) as client:
        assert await outgoing(client, await item(client, tmp_path / "use.py", 5, 5)) == [("get", [9])]


async def test_there_is_no_item_where_no_function_is_meant(tmp_path: Path) -> None:
    async with editor(tmp_path) as client:
        for line, character in ((0, 0), (4, 5), (99, 99)):
            position = {"line": line, "character": character}
            params = {"textDocument": {"uri": (tmp_path / ORDERS).as_uri()}, "position": position}
            assert await client.request("textDocument/prepareCallHierarchy", params) is None


async def test_an_item_that_is_not_ghostds_own_is_refused_or_gives_nothing(tmp_path: Path) -> None:
    async with editor(tmp_path) as client:
        error = await client.refused("callHierarchy/incomingCalls", {"item": {"name": "x"}})
        assert (error.code, "data" in error.message) == (-32602, True)
        for root, path in ((tmp_path, "../../etc/passwd"), (Path("/"), "etc/passwd"), (tmp_path, "/etc/passwd")):
            data = {"root": str(root), "path": path, "name": "root", "start": 0}
            assert await client.request("callHierarchy/outgoingCalls", {"item": {"data": data}}) is None
