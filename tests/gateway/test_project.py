"""`GET /v1/ghostd/project` and `GET /v1/ghostd/repo-map`."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from map_harness import PROJECT, mapped

from ghostd.analysis.tokens import estimate
from ghostd.gateway.doors import project_doors
from ghostd.project_reports import ProjectReport, RepoMapReport
from ghostd.testing.gateway import serving
from ghostd.testing.scripted import ScriptedProvider


@dataclass(frozen=True, slots=True)
class Door:
    url: str
    root: Path
    client: aiohttp.ClientSession

    async def ask(self, what: str, *query: tuple[str, str]) -> tuple[int, Any]:
        async with self.client.get(f"{self.url}/v1/ghostd/{what}", params=query) as reply:
            assert reply.content_type == "application/json"
            return reply.status, await reply.json()

    async def get(self, what: str, *query: tuple[str, str]) -> Any:
        status, reply = await self.ask(what, *query)
        assert status == 200, reply
        return reply


@asynccontextmanager
async def door(folder: Path) -> AsyncIterator[Door]:
    async with (
        mapped(folder) as (analyst, root),
        serving(ScriptedProvider(), doors=[project_doors(analyst)]) as served,
        aiohttp.ClientSession() as client,
    ):
        yield Door(served.url, root, client)


async def test_a_project_is_told_as_json(tmp_path: Path) -> None:
    async with door(tmp_path) as project:
        reply = await project.get("project", ("root", str(project.root)))
        assert reply == await project.get("project")
    assert reply["object"] == "ghostd.project"
    found = msgspec.convert(reply, ProjectReport)
    assert (found.root, found.main_language, found.files) == (str(project.root), "python", len(PROJECT))
    assert found.modules.edges == 2
    assert found.history.state == "none"


async def test_a_project_is_told_as_text_within_a_budget(tmp_path: Path) -> None:
    async with door(tmp_path) as project:
        reply = await project.get("project", ("format", "text"), ("max_tokens", "64"))
    assert set(reply) == {"object", "root", "text", "tokens"}
    assert reply["object"] == "ghostd.project_text"
    assert reply["text"].startswith(f"# project: {len(PROJECT)} files")
    assert estimate(reply["text"]) == reply["tokens"] <= 64


async def test_a_map_is_made_for_several_focus_files(tmp_path: Path) -> None:
    async with door(tmp_path) as project:
        reply = await project.get(
            "repo-map",
            ("root", str(project.root)),
            ("focus", "far/use_other.py"),
            ("focus", str(project.root / "shop/orders.py")),
            ("max_tokens", "400"),
        )
    found = msgspec.convert(reply, RepoMapReport)
    assert (reply["object"], found.focus) == ("ghostd.repo_map", ["far/use_other.py", "shop/orders.py"])
    assert {file.path for file in found.files} == {"far/other.py", "shop/storage.py"}
    assert estimate(found.text) == found.tokens <= 400
    (box,) = [s for file in found.files for s in file.symbols if s.name == "DistantBox"]
    assert (box.kind, box.line, box.signature) == ("class", 1, "class DistantBox")


async def test_what_a_request_has_wrong_is_named(tmp_path: Path) -> None:
    async with door(tmp_path) as project:
        for what, param, query in [
            ("project", "format", ("format", "xml")),
            ("project", "max_tokens", ("max_tokens", "63")),
            ("project", "max_tokens", ("max_tokens", "٦٤٠")),
            ("project", "root", ("root", "/")),
            ("project", "root", ("root", "relative")),
            ("project", "root", ("root", f"{project.root}/shop")),
            ("repo-map", "max_tokens", ("max_tokens", "9" * 4000)),
            ("repo-map", "max_tokens", ("max_tokens", "-1")),
            ("repo-map", "root", ("root", "a\0")),
            ("repo-map", "focus", ("focus", "/etc/passwd")),
            ("repo-map", "focus", ("focus", "../outside.py")),
            ("repo-map", "focus", ("focus", ".")),
            ("repo-map", "focus", ("focus", "a" * 5000)),
        ]:
            status, reply = await project.ask(what, query)
            assert (status, reply["error"]["param"]) == (400, param), reply
            assert reply["error"]["type"] == "invalid_request_error"
        status, reply = await project.ask("repo-map", *[("focus", f"{n}.py") for n in range(65)])
        assert (status, reply["error"]["param"]) == (400, "focus")


async def test_without_a_project_it_says_how_to_add_one(tmp_path: Path) -> None:
    async with (
        mapped(tmp_path) as (analyst, root),
        serving(ScriptedProvider(), doors=[project_doors(analyst)]) as served,
        aiohttp.ClientSession() as client,
    ):
        await analyst.index.remove_root(root)
        status, reply = await Door(served.url, root, client).ask("project")
    assert (status, reply["error"]["param"]) == (400, "root")
    assert "ghostctl roots add" in reply["error"]["message"]


@pytest.mark.parametrize("seed", range(3))
async def test_no_query_brings_a_mistake_of_the_servers(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    pieces = ["shop", "/", "..", ".py", "orders", "%00", "é", "😀", "\n", " ", "*", "1", "100", "-", "a" * 300, "text"]
    async with door(tmp_path) as project:
        for _ in range(60):
            names = chance.choices(["root", "focus", "format", "max_tokens"], k=chance.randint(0, 4))
            query = [(name, "".join(chance.choices(pieces, k=chance.randint(0, 4)))) for name in names]
            for what in ("project", "repo-map"):
                status, reply = await project.ask(what, *query)
                assert status in (200, 400), (query, reply)
