"""workspace/symbol, workspaceSymbol/resolve and textDocument/documentSymbol."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from lsp_harness import INLINE, Client, connected, make_host
from navigation_harness import SHOP, parsed, shop

from ghostd.config.lsp import LspConfig
from ghostd.config.settings import Config
from ghostd.indexed import Span, Symbol

TREE = {"textDocument": {"documentSymbol": {"hierarchicalDocumentSymbolSupport": True}}}
LAZY = {"workspace": {"symbol": {"resolveSupport": {"properties": ["location.range"]}}}}


@asynccontextmanager
async def editor(root: Path, capabilities: object = INLINE, **options: object) -> AsyncIterator[Client]:
    """An editor with the shop's folder open."""
    host = make_host(index=await shop(root))
    async with connected(host) as client:
        folders = [{"uri": root.as_uri(), "name": "shop"}]
        await client.initialize(capabilities, workspaceFolders=folders, initializationOptions=options or None)
        yield client


def at(line: int, start: int, end: int, last: int | None = None) -> dict[str, Any]:
    return {
        "start": {"line": line, "character": start},
        "end": {"line": line if last is None else last, "character": end},
    }


async def names(client: Client, query: str) -> list[str]:
    return [found["name"] for found in await client.request("workspace/symbol", {"query": query})]


async def test_a_workspace_symbol_has_kind_container_and_the_range_of_its_name(tmp_path: Path) -> None:
    async with editor(tmp_path) as client:
        (found,) = await client.request("workspace/symbol", {"query": "load_item"})
    assert found["location"] == {"uri": (tmp_path / "shop/storage.py").as_uri(), "range": at(6, 8, 17)}
    assert (found["kind"], found["containerName"]) == (6, "Storage")


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("load", "load_item"),
        ("li", "load_item"),
        ("item", "load_item"),
        ("tore", "open_store"),
        ("plord", "placeOrder"),
        ("placeorder", "placeOrder"),
        ("Storage.read", "_read"),
        ("Storage.", "load_item"),
        ("shop/place", "place_order"),
    ],
)
async def test_names_are_found_by_beginning_subwords_parts_and_what_encloses_them(
    query: str, first: str, tmp_path: Path
) -> None:
    async with editor(tmp_path) as client:
        assert (await names(client, query))[0] == first


async def test_of_what_fits_equally_well_the_closest_to_the_last_used_document_is_first(tmp_path: Path) -> None:
    async with editor(tmp_path) as client:
        for path in ("shop/orders.py", "web/orders.ts"):
            client.open((tmp_path / path).as_uri(), SHOP[path])
            found = await client.request("workspace/symbol", {"query": "open_store"})
            closest = found[0]["location"]["uri"]
            assert closest.startswith((tmp_path / path).parent.as_uri())


async def test_a_client_that_resolves_ranges_gets_them_when_it_asks(tmp_path: Path) -> None:
    """LSP 3.17, workspace/symbol: with `location.range` in resolveSupport the range may be left out at first."""
    async with editor(tmp_path, LAZY) as client:
        (found, _) = await client.request("workspace/symbol", {"query": "place_order"})
        uri = (tmp_path / "shop/orders.py").as_uri()
        assert found["location"] == {"uri": uri}
        resolved = await client.request("workspaceSymbol/resolve", found)
        assert resolved["location"] == {"uri": uri, "range": at(3, 4, 15)}
        found["data"]["name"] = "gone"
        error = await client.refused("workspaceSymbol/resolve", found)
    assert (error.code, "gone" in error.message) == (-32801, True)


async def test_an_answer_comes_in_parts_where_the_client_asks_for_that(tmp_path: Path) -> None:
    """LSP 3.17, "Partial Result Progress": the parts are all, and the answer itself is empty."""
    many = await parsed(tmp_path, {f"m{number}.py": "def handler(): pass\n" for number in range(120)})
    async with connected(make_host(index=many)) as client:
        await client.initialize(workspaceFolders=[{"uri": tmp_path.as_uri(), "name": ""}])
        params = {"query": "handler", "partialResultToken": "t"}
        assert await client.request("workspace/symbol", params) == []
        parts = [await client.notice("$/progress") for _ in range(3)]
    assert {part["token"] for part in parts} == {"t"}
    assert len({symbol["location"]["uri"] for part in parts for symbol in part["value"]}) == 120


async def test_a_query_that_is_empty_or_huge_or_strange_is_answered(tmp_path: Path) -> None:
    async with editor(tmp_path) as client:
        assert set(await names(client, "")) >= {"Storage", "place_order"}
        for query in ("x" * 100_000, "\0", "(((((", ".*", "ä" * 500, "a." * 5000, "😀", "\udc80", "x\ny", "\\", "[a-"):
            assert await names(client, query) == [], query[:10]


async def test_only_the_sessions_own_folders_are_searched(tmp_path: Path) -> None:
    index = await shop(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    await index.add_root(other)
    async with connected(make_host(index=index)) as client:
        await client.initialize(workspaceFolders=[{"uri": other.as_uri(), "name": ""}])
        found = await client.request("workspace/symbol", {"query": "place_order"})
        uris = [(other / path).as_uri() for path in ("shop/orders.py", "web/orders.ts")]
        assert [each["location"]["uri"] for each in found] == uris
        event = {"added": [], "removed": [{"uri": other.as_uri(), "name": ""}]}
        client.notify("workspace/didChangeWorkspaceFolders", {"event": event})
        assert await names(client, "place_order") == []


async def test_a_documents_symbols_are_a_tree_for_clients_that_show_one(tmp_path: Path) -> None:
    async with editor(tmp_path, TREE) as client:
        params = {"textDocument": {"uri": (tmp_path / "shop/storage.py").as_uri()}}
        storage, opener = await client.request("textDocument/documentSymbol", params)
    assert (storage["name"], storage["kind"], storage["detail"]) == ("Storage", 5, "class Storage")
    assert (storage["range"], storage["selectionRange"]) == (at(3, 0, 31, 11), at(3, 6, 13))
    assert [child["name"] for child in storage["children"]] == ["load_item", "_read"]
    assert (opener["name"], opener["children"]) == ("open_store", [])


async def test_a_documents_symbols_are_a_list_for_other_clients(tmp_path: Path) -> None:
    async with editor(tmp_path) as client:
        params = {"textDocument": {"uri": (tmp_path / "shop/storage.py").as_uri()}}
        found = await client.request("textDocument/documentSymbol", params)
    assert [(each["name"], each.get("containerName")) for each in found] == [
        ("Storage", None),
        ("load_item", "Storage"),
        ("_read", "Storage"),
        ("open_store", None),
    ]


async def test_two_names_of_one_definition_are_siblings(tmp_path: Path) -> None:
    index = await parsed(tmp_path, {"a.c": "int first, second;\n"})
    async with connected(make_host(index=index)) as client:
        await client.initialize(TREE)
        params = {"textDocument": {"uri": (tmp_path / "a.c").as_uri()}}
        found = await client.request("textDocument/documentSymbol", params)
    assert [each["name"] for each in found] == ["first", "second"]


async def test_very_deep_nesting_is_shown_to_a_bounded_depth(tmp_path: Path) -> None:
    source = "".join(f"{' ' * depth}class C{depth}:\n" for depth in range(300)) + " " * 300 + "pass\n"
    index = await parsed(tmp_path, {"deep.py": source})
    async with connected(make_host(index=index)) as client:
        await client.initialize(TREE)
        params = {"textDocument": {"uri": (tmp_path / "deep.py").as_uri()}}
        found = await client.request("textDocument/documentSymbol", params)
    depth, count, level = 0, 0, found
    while level:
        depth, count = depth + 1, count + len(level)
        level = [child for each in level for child in each["children"]]
    assert (depth, count) == (51, 300)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
async def test_positions_count_units_of_the_clients_encoding(encoding: str, tmp_path: Path) -> None:
    index = await parsed(tmp_path, {"a.js": "const 'x'; /* 😀é */ function later() {}\n"})
    capabilities = {"general": {"positionEncodings": [encoding]}}
    async with connected(make_host(index=index)) as client:
        await client.initialize(capabilities, workspaceFolders=[{"uri": tmp_path.as_uri(), "name": ""}])
        (found,) = await client.request("workspace/symbol", {"query": "later"})
    start = {"utf-8": 33, "utf-16": 30, "utf-32": 29}[encoding]
    assert found["location"]["range"] == at(0, start, start + 5)


async def test_positions_are_those_of_the_open_documents_text(tmp_path: Path) -> None:
    """The index may still have read the file as it was saved."""
    async with editor(tmp_path, TREE) as client:
        uri = (tmp_path / "shop/storage.py").as_uri()
        client.open(uri, "# one more line\r\n" + SHOP["shop/storage.py"])
        (found,) = await client.request("workspace/symbol", {"query": "load_item"})
        assert found["location"] == {"uri": uri, "range": at(7, 8, 17)}
        client.change(uri, 2, {"text": "x"})
        (found,) = await client.request("workspace/symbol", {"query": "load_item"})
        assert found["location"]["range"] == at(0, 1, 1)
        for symbol in await client.request("textDocument/documentSymbol", {"textDocument": {"uri": uri}}):
            assert symbol["range"] == at(0, 1, 1) or symbol["range"]["end"] == {"line": 0, "character": 1}


async def test_a_file_that_was_read_when_it_was_longer_gives_positions_inside_of_it(tmp_path: Path) -> None:
    index = await parsed(tmp_path, {"a.py": "def early(): pass\n\n\ndef late(): pass\n"})
    path = PurePosixPath("a.py")
    index.texts[path] = "\ufeffdef late(): pass".encode()
    index.symbol_list.append(Symbol("x", "function", path, Span(900, 950), Span(910, 911), 99))
    async with connected(make_host(index=index)) as client:
        await client.initialize(workspaceFolders=[{"uri": tmp_path.as_uri(), "name": ""}])
        (late,) = await client.request("workspace/symbol", {"query": "late"})
        (beyond,) = await client.request("workspace/symbol", {"query": "x"})
    assert late["location"]["range"] == at(0, 4, 8)
    assert beyond["location"]["range"] == at(0, 16, 16)


async def test_a_document_outside_of_every_project_has_no_symbols(tmp_path: Path) -> None:
    async with editor(tmp_path) as client:
        for uri in (
            "file:///elsewhere/a.py",
            "untitled:1",
            "http://host/a.py",
            "",
            "file:///../../etc/passwd",
            "file:////",
        ):
            assert await client.request("textDocument/documentSymbol", {"textDocument": {"uri": uri}}) == []


@pytest.mark.parametrize("setting", ["off", "auto", "on", ("python",)])
async def test_the_setting_says_for_which_languages_there_are_symbols(setting: Any, tmp_path: Path) -> None:
    host = make_host(index=await shop(tmp_path), config=Config(lsp=LspConfig(symbols=setting)))
    async with connected(host) as client:
        found = await client.initialize(workspaceFolders=[{"uri": tmp_path.as_uri(), "name": ""}])
        assert ("workspaceSymbolProvider" in found) == (setting != "off")
        symbols = set(await names(client, "placeorder"))
    expected = {"off": set(), "auto": {"placeOrder", "place_order"}, "on": {"placeOrder", "place_order"}}
    assert symbols == expected.get(setting, {"place_order"})


async def test_a_client_says_which_languages_other_servers_serve(tmp_path: Path) -> None:
    async with editor(tmp_path, servedLanguages=["python"]) as client:
        assert await names(client, "placeorder") == ["placeOrder"]
        params = {"textDocument": {"uri": (tmp_path / "shop/storage.py").as_uri()}}
        assert await client.request("textDocument/documentSymbol", params) == []
        settings = {"ghostd": {"servedLanguages": ["typescriptreact"]}}
        client.notify("workspace/didChangeConfiguration", {"settings": settings})
        assert await names(client, "placeorder") == ["place_order"]
        client.notify("workspace/didChangeConfiguration", {"settings": {"ghostd": {"symbols": "on"}}})
        assert set(await names(client, "placeorder")) == {"placeOrder", "place_order"}
        client.notify("workspace/didChangeConfiguration", {"settings": None})
        client.notify("workspace/didChangeConfiguration", {"settings": {"ghostd": {"symbols": 7}}})
        assert "settings" not in (await client.notice("window/logMessage"))["message"]


async def test_options_win_over_the_configuration(tmp_path: Path) -> None:
    host = make_host(index=await shop(tmp_path), config=Config(lsp=LspConfig(symbols="off")))
    async with connected(host) as client:
        found = await client.initialize(
            workspaceFolders=[{"uri": tmp_path.as_uri(), "name": ""}], initializationOptions={"symbols": ["python"]}
        )
        assert "definitionProvider" in found
        assert await names(client, "placeorder") == ["place_order"]
