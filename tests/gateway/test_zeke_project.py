"""`POST /v1/zeke/project/context` and `/v1/zeke/project/analyze`."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from map_harness import PROJECT, mapped

from ghostd.analysis.tokens import estimate
from ghostd.gateway.doors import zeke_project_doors
from ghostd.testing.gateway import serving
from ghostd.testing.scripted import ScriptedProvider

MANIFESTS = {
    "pyproject.toml": (
        '[project]\nname = "shop"\ndependencies = ["httpx>=0.28", "rich"]\n'
        '[project.optional-dependencies]\ntest = ["pytest", "rich"]\n'
    ),
    "tools/pyproject.toml": '[project]\nname = "shop-tools"\ndependencies = ["shop"]\n',
}


@dataclass(frozen=True, slots=True)
class Door:
    url: str
    root: Path
    client: aiohttp.ClientSession

    async def post(self, body: Any, path: str = "/v1/zeke/project/context") -> tuple[int, Any]:
        async with self.client.post(self.url + path, json=body) as reply:
            return reply.status, await reply.json()


@asynccontextmanager
async def door(folder: Path) -> AsyncIterator[Door]:
    async with (
        mapped(folder, {**PROJECT, **MANIFESTS}) as (analyst, root),
        serving(ScriptedProvider(), doors=[zeke_project_doors(analyst)]) as served,
        aiohttp.ClientSession() as client,
    ):
        yield Door(served.url, root, client)


async def test_a_project_is_told_in_both_vocabularies(tmp_path: Path) -> None:
    async with door(tmp_path) as project:
        asked = {"project_path": str(project.root), "depth": 2, "include_git": True}
        status, reply = await project.post(asked)
        assert status == 200, reply
        assert {k: type(v) for k, v in reply.items()} == {
            "type": str, "content": str, "summary": str, "files_analyzed": int, "main_language": str,
            "dependencies": list, "architecture_notes": str, "timestamp": int, "status": str, "provider": str,
            "model": str,
        }  # fmt: skip
        assert (reply["type"], reply["status"], reply["provider"]) == ("project_analysis", "success", "ghostd")
        assert (reply["files_analyzed"], reply["main_language"]) == (len(PROJECT) + len(MANIFESTS), "python")
        assert reply["dependencies"] == ["httpx", "rich", "pytest"]
        assert "## Packages and dependencies" in reply["summary"] and "## Central files" not in reply["summary"]
        assert reply["architecture_notes"].startswith("## Central files\nfar/other.py (imported by 1)\n")
        assert reply["summary"].splitlines()[0] == reply["content"].splitlines()[0]
        assert all(estimate(reply[text]) <= 1000 for text in ("content", "summary", "architecture_notes"))
        flat = {"project_path": str(project.root), "context": "x", "language": "python", "task": "t", "model": "auto"}
        status, again = await project.post(flat, "/v1/zeke/project/analyze")
        assert (status, again["files_analyzed"]) == (200, reply["files_analyzed"])


@pytest.mark.parametrize("within", ["", "shop", "shop/orders.py", "gone/new.py"])
async def test_a_project_is_found_by_anything_in_it(tmp_path: Path, within: str) -> None:
    async with door(tmp_path) as project:
        for path in (str(project.root / within), f"file://{project.root / within}", None):
            status, reply = await project.post({"project_path": path, "depth": None, "include_git": None})
            assert (status, reply.get("files_analyzed")) == (200, len(PROJECT) + len(MANIFESTS)), reply


async def test_a_deeper_look_tells_more(tmp_path: Path) -> None:
    async with door(tmp_path) as project:
        sizes = []
        for depth in (1, "deep"):
            _, reply = await project.post({"depth": depth})
            sizes.append(len(reply["content"]))
        assert sizes == sorted(sizes)


async def test_a_stream_holds_the_whole_text(tmp_path: Path) -> None:
    async with door(tmp_path) as project:
        _, whole = await project.post({})
        url = project.url + "/v1/zeke/project/context"
        async with project.client.post(url, json={"stream": True}) as reply:
            assert (reply.status, reply.content_type) == (200, "text/event-stream")
            events = [event.removeprefix("data: ") for event in (await reply.text()).split("\n\n") if event]
    assert events.pop() == "[DONE]"
    found = [json.loads(event) for event in events]
    assert "".join(event["content"] for event in found) == whole["content"]
    assert [event["final"] for event in found] == [False] * (len(found) - 1) + [True]


async def test_what_a_request_has_wrong_is_named(tmp_path: Path) -> None:
    async with door(tmp_path) as project:
        for body, param in [
            ({"project_path": "/"}, "project_path"),
            ({"project_path": "relative/shop"}, "project_path"),
            ({"project_path": f"{project.root}/../other"}, "project_path"),
            ({"project_path": "a\0"}, "project_path"),
            ({"project_path": 5}, "project_path"),
            ({"project_path": "a" * 5000}, "project_path"),
            ({"depth": 0}, "depth"),
            ({"depth": 17}, "depth"),
            ({"depth": "bottomless"}, "depth"),
            ({"include_git": "yes"}, "include_git"),
        ]:
            status, reply = await project.post(body)
            assert (status, reply["error"]["param"]) == (400, param), reply
        _, reply = await project.post({"project_path": "/nowhere"})
        assert "ghostctl roots add" in reply["error"]["message"]
