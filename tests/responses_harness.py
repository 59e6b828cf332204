"""A gateway with the Responses API before providers of any kind, and a judge of its streams."""

from __future__ import annotations

import json
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from openai import AsyncOpenAI
from routing_harness import World

from ghostd.config.http import HttpConfig
from ghostd.config.responses import ResponsesConfig
from ghostd.conversation import ToolCallDelta
from ghostd.engine import Engine
from ghostd.gateway.dialects.responses.doors import responses_doors
from ghostd.responses.service import ResponseService, open_responses
from ghostd.testing.gateway import Served, serving
from ghostd.testing.scripted import ScriptedUpstreamProvider, Step
from ghostd.types import Delta, Usage

PATH = "/v1/responses"
CALLED = Delta(finish_reason="tool_calls", usage=Usage(10, 4))


def call(index: int, *pieces: str, name: str = "weather", signature: str | None = None) -> list[Step]:
    """Deltas of one call."""
    first = ToolCallDelta(index, id=f"call_{index}", name=name, signature=signature)
    return [Delta(tool_calls=(first,)), *(Delta(tool_calls=(ToolCallDelta(index, piece),)) for piece in pieces)]


@dataclass(frozen=True, slots=True)
class Door:
    """A served gateway, and clients of it."""

    served: Served
    http: aiohttp.ClientSession
    openai: AsyncOpenAI
    store: ResponseService

    async def post(self, path: str = PATH, **fields: Any) -> tuple[int, Any]:
        """Status and JSON of a POST."""
        async with self.http.post(self.served.url + path, json=fields) as reply:
            return reply.status, json.loads(await reply.read())

    async def get(self, path: str) -> tuple[int, Any]:
        """Status and JSON of a GET."""
        async with self.http.get(self.served.url + path) as reply:
            return reply.status, json.loads(await reply.read())

    async def delete(self, path: str) -> tuple[int, Any]:
        """Status and JSON of a DELETE."""
        async with self.http.delete(self.served.url + path) as reply:
            return reply.status, json.loads(await reply.read())

    async def stream(self, **fields: Any) -> list[dict[str, Any]]:
        """The events of a streamed response, judged."""
        return judged(await self.raw_stream(**fields))

    async def raw_stream(self, **fields: Any) -> bytes:
        """The bytes of a streamed response."""
        body = {"model": "r", "stream": True, **fields}
        async with self.http.post(self.served.url + PATH, json=body) as reply:
            data = await reply.read()
            assert reply.status == 200, data
            assert reply.headers["content-type"].startswith("text/event-stream")
            return data


@asynccontextmanager
async def door(
    engine: Engine,
    folder: Path | None = None,
    *,
    config: ResponsesConfig | None = None,
    clock: Callable[[], float] | None = None,
    http: HttpConfig | None = None,
) -> AsyncIterator[Door]:
    """Serve an engine while the block runs; what is kept lies in `folder`."""
    settings = config or ResponsesConfig()
    more = {"clock": clock} if clock is not None else {}
    with tempfile.TemporaryDirectory(prefix="ghostd") as temporary:
        async with (
            open_responses(folder or Path(temporary), settings, **more) as store,
            responses_doors(engine, store, settings) as routes,
            serving(engine=engine, doors=routes, config=http) as served,
            aiohttp.ClientSession() as session,
            AsyncOpenAI(api_key="any", base_url=f"{served.url}/v1", max_retries=0, timeout=20) as client,
        ):
            yield Door(served, session, client, store)


@asynccontextmanager
async def before(
    *endpoints: ScriptedUpstreamProvider, settings: str = "", folder: Path | None = None, **more: Any
) -> AsyncIterator[Door]:
    """Serve scripted upstreams as the route "r", in this order."""
    entries = ", ".join(f'{{model = "{e.name}/m", order = {n + 1}}}' for n, e in enumerate(endpoints))
    world = World(settings or f"routes.r.deployments = [{entries}]\n", *endpoints)
    async with door(world.engine, folder, **more) as found:
        yield found
        await world.router.close()


# --- the judge ------------------------------------------------------------------------

_ENDS = {"response.completed", "response.incomplete", "response.failed"}


def events_of(body: bytes) -> list[dict[str, Any]]:
    """The events of a stream: whole, named as they are typed, numbered from 0 without a gap."""
    assert body.endswith(b"\n\n"), "the last event is cut off"
    found = []
    for block in body.removesuffix(b"\n\n").split(b"\n\n"):
        if block.startswith(b":"):
            continue
        if block == b"data: [DONE]":
            continue
        name, data = block.split(b"\n")
        event = msgspec.json.decode(data.removeprefix(b"data: "))
        assert name == b"event: " + event["type"].encode(), "an event's name is not its type"
        found.append(event)
    assert [event["sequence_number"] for event in found] == list(range(len(found))), "numbers with gaps"
    return found


def judged(body: bytes) -> list[dict[str, Any]]:
    """The events of a stream that completes and keeps the rules; AssertionError names the one that it breaks."""
    events = events_of(body)
    types = [event["type"] for event in events]
    assert types[:2] == ["response.created", "response.in_progress"]
    assert types[-1] in _ENDS
    assert sum(kind in _ENDS for kind in types) == 1, "more than one end"
    last = events[-1]["response"]
    for event in events[:2]:
        assert event["response"]["status"] == "in_progress"
        assert event["response"]["output"] == []
        assert event["response"]["usage"] is None
        assert event["response"]["id"] == last["id"]
    items: dict[int, dict[str, Any]] = {}
    for event in events[2:-1]:
        _take(items, event)
    assert all(item["done"] for item in items.values()), "an item that is never done"
    assert [items[index]["item"] for index in sorted(items)] == last["output"], "the end tells another output"
    return events


def _take(items: dict[int, dict[str, Any]], event: dict[str, Any]) -> None:
    kind, index = event["type"], event["output_index"]
    if kind == "response.output_item.added":
        assert index == len(items), "an item out of order"
        items[index] = {"item": event["item"], "done": False, "parts": {}, "text": ""}
        assert event["item"]["status"] == "in_progress"
        return
    entry = items[index]
    assert not entry["done"], "something after an item's end"
    if kind == "response.output_item.done":
        assert event["item"]["id"] == entry["item"]["id"], "an item changes its id"
        assert all(part["done"] for part in entry["parts"].values())
        _same(event["item"], entry)
        entry.update(item=event["item"], done=True)
        return
    assert event["item_id"] == entry["item"]["id"]
    number = event.get("content_index", event.get("summary_index"))
    if kind.endswith(("part.added",)):
        assert number == len(entry["parts"])
        entry["parts"][number] = {"text": "", "done": False, "told": False}
        return
    part = entry["parts"][number] if number is not None else entry
    if kind.endswith(".delta"):
        assert not part.get("told")
        part["text"] += event["delta"]
    elif kind.endswith("part.done"):
        assert part["told"], "a part ends before its text"
        assert event["part"].get("text", event["part"].get("refusal")) == part["text"]
        part["done"] = True
    else:
        assert kind.endswith(".done"), kind
        told = next(event[name] for name in ("text", "refusal", "arguments", "input") if name in event)
        assert told == part["text"], "the whole is not its pieces"
        part["told"] = True


def _same(item: dict[str, Any], entry: dict[str, Any]) -> None:
    texts = [part["text"] for part in entry["parts"].values()]
    if item["type"] == "message":
        assert [part.get("text", part.get("refusal")) for part in item["content"]] == texts
    elif item["type"] == "reasoning":
        assert [part["text"] for part in item["summary"] or item.get("content", [])] == texts
    elif item["type"] in ("function_call", "custom_tool_call"):
        assert item.get("arguments", item.get("input")) == entry["text"]


def kinds(events: Sequence[dict[str, Any]]) -> list[str]:
    """Types of events, without what they all begin with; deltas in a row once."""
    found: list[str] = []
    for event in events:
        kind = event["type"].removeprefix("response.")
        if not (kind.endswith(".delta") and found and found[-1] == kind):
            found.append(kind)
    return found
