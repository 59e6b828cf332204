"""`POST /v1/zeke/code/complete`: both vocabularies, whole, streamed, and better and better."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from ghostd.config.completion import CompletionConfig
from ghostd.config.settings import Config
from ghostd.engine import Engine
from ghostd.errors import WorkerCrashed
from ghostd.gateway.doors import zeke_doors
from ghostd.routing.registry import Registry
from ghostd.suggestions.service import SuggestionService
from ghostd.testing.gateway import serving
from ghostd.testing.scripted import ScriptedProvider, ScriptedUpstreamProvider
from ghostd.types import Delta, FillRequest

PATH = "/v1/zeke/code/complete"


@dataclass(frozen=True, slots=True)
class Door:
    url: str
    client: aiohttp.ClientSession

    async def post(self, **body: Any) -> tuple[int, Any]:
        async with self.client.post(self.url, json=body) as reply:
            return reply.status, await reply.json()

    async def events(self, **body: Any) -> list[Any]:
        async with self.client.post(self.url, json={"stream": True, **body}) as reply:
            assert reply.status == 200 and reply.content_type == "text/event-stream"
            text = await reply.text()
        data = [event.removeprefix("data: ") for event in text.split("\n\n") if event]
        assert data[-1] == "[DONE]" and all(len(event.encode()) <= 8192 for event in data)
        return [json.loads(event) for event in data[:-1]]


@asynccontextmanager
async def door(
    provider: ScriptedProvider | None = None, upstream: ScriptedUpstreamProvider | None = None
) -> AsyncIterator[Door]:
    upstreams = {} if upstream is None else {upstream.name: [upstream]}
    engine = Engine(registry=Registry(Config(), [] if provider is None else [provider], upstreams))
    suggestions = SuggestionService(engine, lambda: CompletionConfig(inline_budget_ms=1000))
    async with (
        serving(engine=engine, doors=[zeke_doors(engine, suggestions)]) as served,
        aiohttp.ClientSession() as client,
    ):
        yield Door(served.url + PATH, client)
    suggestions.close()


def fill(provider: ScriptedProvider) -> FillRequest:
    (request,) = provider.requests
    assert isinstance(request, FillRequest)
    return request


async def test_the_reply_has_the_fields_of_both_vocabularies_and_no_others() -> None:
    provider = ScriptedProvider(pieces=("return", " a"))
    async with door(provider) as zeke:
        status, reply = await zeke.post(
            prefix="def f(a):\n    ", suffix="\n", language="Python", file_path="src/f.py", max_tokens=20, stream=False
        )
    assert status == 200
    assert isinstance(reply.pop("timestamp"), int)
    assert reply == {
        "type": "code_completion",
        "content": "return a",
        "completion": "return a",
        "status": "success",
        "provider": "scripted",
        "model": "scripted-model",
    }
    request = fill(provider)
    assert (request.prefix, request.suffix, request.path) == ("def f(a):\n    ", "\n", Path("src/f.py"))
    assert (request.language, request.max_tokens, request.trigger) == ("python", 20, "manual")


@pytest.mark.parametrize(
    ("body", "before"),
    [
        ({"prompt": "a = "}, "a = "),
        ({"code": "b = ", "prompt": "a = "}, "b = "),
        ({"code": "b = ", "context": "x = 1", "language": "zig", "task": None, "model": None}, "b = "),
        ({"prefix": "", "code": "b"}, ""),
    ],
)
async def test_the_text_before_the_cursor_has_three_names(body: dict[str, Any], before: str) -> None:
    provider = ScriptedProvider()
    async with door(provider) as zeke:
        assert (await zeke.post(**body))[0] == 200
    assert fill(provider).prefix == before
    assert [document.text for document in fill(provider).open_documents] == (
        [body["context"]] if "context" in body else []
    )


async def test_a_stream_says_the_text_in_pieces_that_follow_one_another() -> None:
    async with door(ScriptedProvider(pieces=("return", " a", "ä" * 5000))) as zeke:
        events = await zeke.events(prefix="def f(a):\n    ")
    assert "".join(event["content"] for event in events) == "return a" + "ä" * 5000
    assert [event["final"] for event in events] == [False] * (len(events) - 1) + [True]


async def test_incremental_events_hold_the_whole_text_and_the_last_one_is_final() -> None:
    async with door(ScriptedProvider(pieces=("return", " a"))) as zeke:
        events = await zeke.events(prefix="def f(a):\n    ", incremental=True, file_path="a.py")
        call_id = events[-1].pop("id")
        assert events[-1] == {"content": "return a", "final": True}
        body = {"prefix": "def f(a):\n    ret", "incremental": True, "file_path": "a.py"}
        async with zeke.client.post(zeke.url, json=body) as answer:
            status, reply = answer.status, await answer.json()
            assert answer.headers["x-ghostd-id"] == call_id != ""  # it is the same text, for feedback
    assert (status, reply["content"], reply["model"]) == (200, "urn a", "scripted-model")


async def test_a_typed_on_incremental_request_asks_no_model() -> None:
    provider = ScriptedProvider(pieces=("return", " a"))
    async with door(provider) as zeke:
        for typed in ("", "re", "return", "ret"):
            await zeke.events(prefix="def f(a):\n    " + typed, incremental=True, session="s", file_path="a.py")
    assert provider.started == 1


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "prefix"),
        ({"prefix": 1}, "prefix"),
        ({"prefix": "a", "max_tokens": -1}, "max_tokens"),
        ({"prefix": "a", "max_tokens": "1"}, "max_tokens"),
        ({"prefix": "a", "file_path": "a\0b"}, "file_path"),
        ({"prefix": "a", "stream": 1}, "stream"),
        ({"prefix": "a", "trigger": "now"}, "trigger"),
        ({"prefix": "a", "incremental": True, "max_tokens": -1}, "max_tokens"),
    ],
)
async def test_what_is_wrong_is_named(body: dict[str, Any], param: str) -> None:
    async with door(ScriptedProvider()) as zeke:
        status, reply = await zeke.post(**body)
    assert (status, reply["error"]["param"]) == (400, param)


@pytest.mark.parametrize("incremental", [False, True])
async def test_a_model_that_fails_is_an_error_of_openais_shape(incremental: bool) -> None:
    async with door(ScriptedProvider(error=WorkerCrashed("it is gone"))) as zeke:
        status, reply = await zeke.post(prefix="a", incremental=incremental)
    assert status >= 500 and "message" in reply["error"]


@pytest.mark.parametrize("incremental", [False, True])
async def test_a_client_that_hangs_up_ends_the_generation(incremental: bool) -> None:
    provider = ScriptedProvider(hold=asyncio.Event())
    async with door(provider) as zeke:
        task = asyncio.create_task(zeke.events(prefix="a", incremental=incremental))
        async with asyncio.timeout(10):
            while not provider.started:
                await asyncio.sleep(0.002)
            task.cancel()
            while not provider.closed:
                await asyncio.sleep(0.002)


@pytest.mark.parametrize("incremental", [False, True])
async def test_a_client_that_hangs_up_amid_the_events_ends_the_generation(incremental: bool) -> None:
    model = ScriptedUpstreamProvider([Delta("a = 1\n    b = 2\n"), asyncio.Event()])
    async with door(upstream=model) as zeke, asyncio.timeout(10):
        body = {"model": "acme/m", "prefix": "def f():\n    ", "suffix": "\n", "language": "python", "session": "s"}
        reply = await zeke.client.post(zeke.url, json={**body, "stream": True, "incremental": incremental})
        event = json.loads((await reply.content.readline()).removeprefix(b"data: "))
        assert {**event, "id": ""} == {
            "content": "a = 1\n    b = 2" if not incremental else "a = 1",
            "final": False,
            "id": "",
        }
        reply.close()
        await model.until_closed()
