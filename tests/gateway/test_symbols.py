"""`GET /v1/ghostd/symbols` and `GET /v1/ghostd/references`."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from navigation_harness import shop

from ghostd.gateway.doors import symbol_doors
from ghostd.navigation.navigator import navigator
from ghostd.resolve.resolver import Resolver
from ghostd.testing.gateway import serving
from ghostd.testing.memory_index import MemoryIndex
from ghostd.testing.scripted import ScriptedProvider


@dataclass(frozen=True, slots=True)
class Door:
    url: str
    root: Path
    client: aiohttp.ClientSession
    index: MemoryIndex

    async def get(self, what: str, **query: str) -> Any:
        async with self.client.get(f"{self.url}/v1/ghostd/{what}", params=query) as reply:
            assert reply.status == 200, await reply.text()
            return await reply.json()

    async def refused(self, what: str, **query: str) -> tuple[int, str, str]:
        """Status, param and message."""
        async with self.client.get(f"{self.url}/v1/ghostd/{what}", params=query) as reply:
            error = (await reply.json())["error"]
            assert error["type"] == "invalid_request_error"
            return reply.status, error["param"], error["message"]


@asynccontextmanager
async def door(root: Path) -> AsyncIterator[Door]:
    index = await shop(root)
    doors = [symbol_doors(navigator(index, Resolver(index)))]
    async with serving(ScriptedProvider(), doors=doors) as served, aiohttp.ClientSession() as client:
        yield Door(served.url, root, client, index)


def listed(reply: Any) -> list[tuple[str, str, int, int]]:
    return [(each["name"], each["path"], each["line"], each["column"]) for each in reply["data"]]


async def test_a_query_finds_definitions_the_best_first(tmp_path: Path) -> None:
    async with door(tmp_path) as shop:
        reply = await shop.get("symbols", query="loaditem")
    assert reply == {
        "object": "list",
        "has_more": False,
        "data": [
            {
                "name": "load_item",
                "kind": "method",
                "root": str(tmp_path),
                "path": "shop/storage.py",
                "line": 7,
                "column": 9,
                "end_line": 9,
                "container": "Storage",
                "signature": "def load_item(self, name)",
            }
        ],
    }


async def test_kind_limit_and_near_choose_among_what_fits(tmp_path: Path) -> None:
    async with door(tmp_path) as shop:
        assert [name for name, *_ in listed(await shop.get("symbols", query="stor", kind="class,method"))] == [
            "Storage"
        ]
        first = await shop.get("symbols", query="open_store", near="web/orders.ts", root=str(tmp_path), limit="1")
        assert (listed(first), first["has_more"]) == ([("open_store", "web/orders.ts", 4, 10)], True)


async def test_a_name_lists_its_definitions_what_a_file_means_by_it_first(tmp_path: Path) -> None:
    async with door(tmp_path) as shop:
        everywhere = [("open_store", "shop/storage.py", 15, 5), ("open_store", "web/orders.ts", 4, 10)]
        assert listed(await shop.get("symbols", name="open_store")) == everywhere
        in_web = await shop.get("symbols", name="open_store", near=str(tmp_path / "web/orders.ts"))
        assert listed(in_web) == everywhere[::-1]
        assert listed(await shop.get("symbols", name="open_stor")) == []


async def test_a_path_gives_the_files_outline(tmp_path: Path) -> None:
    async with door(tmp_path) as shop:
        reply = await shop.get("symbols", path="shop/storage.py", root=str(tmp_path))
        assert [(each["name"], each["line"], each["end_line"]) for each in reply["data"]] == [
            ("Storage", 4, 12),
            ("load_item", 7, 9),
            ("_read", 11, 12),
            ("open_store", 15, 16),
        ]
        assert (await shop.get("symbols", path=str(tmp_path / "shop/storage.py"), kind="class"))["data"][1:] == []
        assert (await shop.get("symbols", path=str(tmp_path / "not/there.py")))["data"] == []


async def test_references_come_with_their_line_and_what_encloses_them(tmp_path: Path) -> None:
    async with door(tmp_path) as shop:
        reply = await shop.get("references", name="open_store", near="shop/orders.py", definitions="true", limit="4")
    assert reply["has_more"] is False
    assert [(r["role"], r["path"], r["line"], r["column"], r["container"], r["text"]) for r in reply["data"]] == [
        ("use", "shop/orders.py", 1, 35, "", "from shop.storage import Storage, open_store"),
        ("use", "shop/orders.py", 6, 10, "place_order", "'😀'; open_store(found)"),
        ("use", "shop/storage.py", 12, 16, "Storage._read", "return open_store(name)"),
        ("definition", "shop/storage.py", 15, 5, "open_store", "def open_store(path):"),
    ]


async def test_what_a_request_has_wrong_is_named(tmp_path: Path) -> None:
    async with door(tmp_path) as shop:
        for param, query in [
            ("query", {}),
            ("name", {"query": "a", "name": "b"}),
            ("kind", {"query": "a", "kind": "class,klass"}),
            ("limit", {"query": "a", "limit": "0"}),
            ("limit", {"query": "a", "limit": "1001"}),
            ("limit", {"query": "a", "limit": "9" * 4000}),
            ("limit", {"query": "a", "limit": "٣"}),
            ("root", {"query": "a", "root": "/"}),
            ("root", {"query": "a", "root": "relative"}),
            ("path", {"path": "/etc/passwd"}),
            ("path", {"path": f"{tmp_path}/../outside.py"}),
            ("path", {"path": "../outside.py", "root": str(tmp_path)}),
            ("near", {"query": "a", "near": "/etc/passwd"}),
            ("query", {"query": "a" * 5000}),
            ("query", {"query": "a\0"}),
        ]:
            status, named, message = await shop.refused("symbols", **query)
            assert (status, named) == (400, param), message
        assert (await shop.refused("references"))[:2] == (400, "name")
        assert (await shop.refused("references", name="a", definitions="maybe"))[:2] == (400, "definitions")
        await shop.index.remove_root(tmp_path)
        assert await shop.get("symbols", query="a") == {"object": "list", "data": [], "has_more": False}
        assert (await shop.refused("symbols", path="a.py"))[1] == "path"


async def test_a_file_that_is_not_indexed_is_never_read(tmp_path: Path) -> None:
    (tmp_path / "secret.py").write_text("def token(): return 'x'\n")
    async with door(tmp_path) as shop:
        assert (await shop.get("symbols", path=str(tmp_path / "secret.py")))["data"] == []
        assert (await shop.get("references", name="token"))["data"] == []


@pytest.mark.parametrize("seed", range(4))
async def test_no_query_brings_a_mistake_of_the_servers(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    pieces = [
        "Storage",
        ".",
        "::",
        "_",
        "%00",
        "*",
        "(",
        "\\",
        "é",
        "😀",
        "a" * 300,
        " ",
        "\n",
        "/",
        "..",
        "#",
        "-",
        "0",
    ]
    async with door(tmp_path) as shop:
        for _ in range(60):
            query = {
                name: "".join(chance.choices(pieces, k=chance.randint(0, 6)))
                for name in chance.sample(["query", "name", "path", "kind", "root", "near", "limit"], k=2)
            }
            for what in ("symbols", "references"):
                async with shop.client.get(f"{shop.url}/v1/ghostd/{what}", params=query) as reply:
                    assert reply.status in (200, 400), query
