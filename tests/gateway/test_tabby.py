"""Tabby's completions, events, health and settings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from ghostd.config.http import HttpConfig
from ghostd.config.settings import Config
from ghostd.engine import Engine
from ghostd.errors import UpstreamFailed
from ghostd.routing.registry import Registry
from ghostd.testing.gateway import Served, serving
from ghostd.testing.memory_ledger import MemoryLedger
from ghostd.testing.scripted import ScriptedProvider
from ghostd.types import FillRequest, OpenDocument

SEGMENTS = {"prefix": "def f(", "suffix": "):\n", "filepath": "src/f.py"}
JSON = {"Content-Type": "application/json"}
CONFIG = HttpConfig(llamacpp_model="scripted-model")


async def post(served: Served, path: str, body: Any) -> tuple[int, Any]:
    async with aiohttp.ClientSession() as client, client.post(served.url + path, json=body) as reply:
        return reply.status, await reply.json()


async def complete(provider: ScriptedProvider, **body: Any) -> tuple[int, Any]:
    async with serving(provider, config=CONFIG) as served:
        return await post(served, "/v1/completions", body)


async def test_segments_make_a_fill_that_is_replied_in_tabbys_form() -> None:
    provider = ScriptedProvider()
    status, body = await complete(
        provider, language="python", segments=SEGMENTS, user="me", temperature=0.1, seed=7, mode="standard"
    )
    assert status == 200 and set(body) == {"id", "choices"}
    assert body["choices"] == [{"index": 0, "text": "hello world"}]
    (request,) = provider.requests
    assert isinstance(request, FillRequest)
    assert (request.prefix, request.suffix, request.path, request.language) == (
        "def f(",
        "):\n",
        Path("src/f.py"),
        "python",
    )
    assert (request.sampling.temperature, request.sampling.seed) == (0.1, 7)


async def test_snippets_are_quoted_the_most_relevant_first_and_each_once() -> None:
    def snippets(*names: str) -> list[dict[str, Any]]:
        return [{"filepath": f"{name}.py", "body": f"{name} = 1", "score": 0.5} for name in names]

    provider = ScriptedProvider()
    segments = {
        **SEGMENTS,
        "declarations": [{"filepath": "file:///lib/d.py", "body": "d = 1"}, {"filepath": "a.py", "body": "a = 1"}],
        "relevant_snippets_from_changed_files": snippets("a", "b"),
        "relevant_snippets_from_recently_opened_files": snippets("c"),
        "clipboard": "secret",
        "git_url": "https://example.test/x.git",
    }
    assert (await complete(provider, segments=segments))[0] == 200
    request = provider.requests[0]
    assert isinstance(request, FillRequest) and request.quote_documents
    assert request.open_documents == (
        OpenDocument(Path("a.py"), "a = 1"),
        OpenDocument(Path("b.py"), "b = 1"),
        OpenDocument(Path("c.py"), "c = 1"),
        OpenDocument(Path("/lib/d.py"), "d = 1"),
    )


async def test_lines_of_windows_come_back_as_such() -> None:
    provider = ScriptedProvider(pieces=("a\n", "b"))
    _, body = await complete(provider, segments={"prefix": "x\r\n", "suffix": "\r\ny"})
    assert body["choices"][0]["text"] == "a\r\nb"
    request = provider.requests[0]
    assert isinstance(request, FillRequest) and (request.prefix, request.suffix) == ("x\n", "\ny")


async def test_openais_completions_are_told_from_tabbys_by_their_segments() -> None:
    provider = ScriptedProvider()
    status, body = await complete(provider, model="scripted-model", prompt="x", segments=None)
    assert (status, body["object"]) == (200, "text_completion")
    status, body = await complete(provider, prompt="x")
    assert (status, body["error"]["param"]) == (400, "model")
    status, body = await complete(provider, model=None, prompt="x")
    assert (status, body["error"]["param"]) == (400, "model")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"segments": 5}, "segments"),
        ({"segments": {}}, "segments.prefix"),
        ({"segments": {"prefix": 5}}, "segments.prefix"),
        ({"segments": {**SEGMENTS, "suffix": []}}, "segments.suffix"),
        ({"segments": {**SEGMENTS, "filepath": "a\0"}}, "segments.filepath"),
        ({"segments": {**SEGMENTS, "declarations": [{"filepath": "a"}]}}, "segments.declarations[0].body"),
        (
            {"segments": {**SEGMENTS, "declarations": [{"filepath": "\0", "body": ""}]}},
            "segments.declarations[0].filepath",
        ),
        ({"segments": {**SEGMENTS, "declarations": [{"filepath": "a", "body": ""}] * 1001}}, "segments.declarations"),
        ({"language": 5}, "language"),
        ({"temperature": -1}, "temperature"),
        ({"seed": -1}, "seed"),
        ({"mode": "next_edit_suggestion"}, "mode"),
        ({"debug_options": {"raw_prompt": "x"}}, "debug_options.raw_prompt"),
        ({"model": 1}, "model"),
    ],
)
async def test_what_is_wrong_is_told_with_its_path(fields: Any, param: str) -> None:
    provider = ScriptedProvider()
    status, body = await complete(provider, **{"segments": SEGMENTS, **fields})
    assert (status, body["error"]["param"]) == (400, param)
    assert not provider.requests


async def test_a_model_in_trouble_is_told_with_its_status() -> None:
    status, body = await complete(ScriptedProvider(error=UpstreamFailed("out of order", 500)), segments=SEGMENTS)
    assert status == 502 and "error" in body


@pytest.mark.covers("tabby", "/v1/events")
async def test_events_tell_what_became_of_a_completion() -> None:
    ledger = MemoryLedger()
    registry = Registry(Config(), [ScriptedProvider()])
    async with serving(engine=Engine(registry=registry, ledger=ledger), config=CONFIG) as served:
        _, body = await post(served, "/v1/completions", {"segments": SEGMENTS})
        assert [row.id for row in ledger.rows] == [body["id"]]
        assert ledger.rows[0].operation == "tabby.completions"
        for kind in ("view", "select", "dismiss"):
            event = {"type": kind, "completion_id": body["id"], "choice_index": 0, "view_id": "v", "elapsed": 20}
            assert await post(served, f"/v1/events?select_kind={kind}", event) == (200, {})
    found: Sequence[Any] = ledger.outcomes
    assert [(o.request_id, o.kind, o.value) for o in found] == [
        (body["id"], "shown", 1.0),
        (body["id"], "accepted", 1.0),
        (body["id"], "accepted", 0.0),
    ]


@pytest.mark.parametrize(
    ("event", "param"),
    [
        ({"type": "hover"}, "type"),
        ({"completion_id": "x"}, "completion_id"),
        ({"completion_id": 5}, "completion_id"),
        ({"choice_index": "0"}, "choice_index"),
        ({"choice_index": -1}, "choice_index"),
        ({"elapsed": "soon"}, "elapsed"),
    ],
)
async def test_events_that_are_wrong_are_refused(event: Any, param: str) -> None:
    good = {"type": "view", "completion_id": "req_0", "choice_index": 0}
    async with serving(ScriptedProvider()) as served:
        status, body = await post(served, "/v1/events", {**good, **event})
        assert (status, body["error"]["param"]) == (400, param)


@pytest.mark.covers("tabby", "/v1/health, /v1beta/server_setting")
async def test_health_and_settings_are_what_tabbys_clients_want() -> None:
    async with (
        serving(ScriptedProvider(), config=CONFIG, status=lambda: {"models": 1}) as served,
        aiohttp.ClientSession() as client,
    ):
        async with client.get(served.url + "/v1/health") as reply:
            body = await reply.json()
        async with client.post(served.url + "/v1/health", headers=JSON) as reply:
            assert (await reply.json()) == body
        assert (body["status"], body["models"], body["model"], body["chat_model"]) == (
            "ok",
            1,
            "scripted-model",
            "auto",
        )
        assert set(body["version"]) == {"git_describe", "git_sha", "build_date", "build_timestamp"}
        assert body["cuda_devices"] == [] and body["cpu_count"] >= 1 and body["cpu_info"]
        async with client.get(served.url + "/health") as reply:
            assert isinstance((await reply.json())["version"], str)
        async with client.get(served.url + "/v1beta/server_setting") as reply:
            assert await reply.json() == {"disable_client_side_telemetry": True}
