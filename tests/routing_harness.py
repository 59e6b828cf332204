"""An engine over scripted upstreams, and what must hold after every request."""

from __future__ import annotations

import asyncio
import json
import tomllib
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any

import msgspec

from ghostd.config.settings import Config
from ghostd.conversation import Message
from ghostd.engine import Engine
from ghostd.errors import UpstreamFailed
from ghostd.ports import Provider
from ghostd.records import LedgerRow
from ghostd.routing.call import Call, Item, Job
from ghostd.routing.deployment import Deployment
from ghostd.routing.registry import Registry
from ghostd.testing.memory_ledger import MemoryLedger
from ghostd.testing.scripted import ScriptedUpstreamProvider, Step
from ghostd.types import ChatRequest, Delta, Embeddings, Relayed, Usage

USAGE = Usage(10, 4)


def whole(text: str = "good") -> list[Step]:
    """A reply that is not streamed, as relayed."""
    return [Relayed(json.dumps({"said": text}).encode(), True, USAGE, "stop")]


def stream(*texts: str) -> list[Step]:
    """A relayed stream."""
    pieces = [Relayed(f"data: {text}\n\n".encode(), content_type="text/event-stream") for text in texts or ("good",)]
    return [*pieces, Relayed(b"data: [DONE]\n\n", True, USAGE, "stop", "text/event-stream")]


def deltas(*texts: str) -> list[Step]:
    """A reply in ghostd's own words."""
    return [*(Delta(text) for text in texts or ("good",)), Delta(finish_reason="stop", usage=USAGE)]


def failing(times: int = 1) -> list[list[Step]]:
    """So many scripts of a server in trouble."""
    return [[UpstreamFailed("out of order", 500)] for _ in range(times)]


def hanging() -> list[Step]:
    """Nothing ever comes."""
    return [asyncio.Event()]


def chat(model: str = "r", *, stream: bool = False, **changes: Any) -> Call:
    """A conversation, as the gateway would ask for it."""
    request = ChatRequest(model, (Message("user", "hi"),))
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "hi"}]}).encode()
    fields = {"model": json.dumps(model).encode(), "messages": b"[]"}
    wanted: dict[str, Any] = {"stream": stream, "body": body, "fields": fields, "prompt_tokens": 10, **changes}
    return Call("openai.chat", model, "chat", lambda: (Job(request),), **wanted)


def configured(settings: str, *endpoints: ScriptedUpstreamProvider) -> Config:
    """The settings in TOML, with a provider for each of the endpoints."""
    data = tomllib.loads(settings)
    for endpoint in endpoints:
        provider = data.setdefault("providers", {}).setdefault(endpoint.name, {})
        urls = provider.setdefault("base_urls", [])
        urls.append(endpoint.endpoint)
    return msgspec.convert(data, Config)


class World:
    """An engine, its upstreams and its ledger."""

    def __init__(self, settings: str, *endpoints: ScriptedUpstreamProvider, local: Sequence[Provider] = ()) -> None:
        self.endpoints = endpoints
        self.local = local
        self.ledger = MemoryLedger()
        self.engine = Engine(registry=self.registry(settings), ledger=self.ledger)
        self.router = self.engine.router
        self.calls = 0

    def registry(self, settings: str, before: Registry | None = None) -> Registry:
        by_name: dict[str, list[ScriptedUpstreamProvider]] = {}
        for endpoint in self.endpoints:
            by_name.setdefault(endpoint.name, []).append(endpoint)
        config = configured(settings, *self.endpoints)
        return Registry(config, self.local, by_name, before=before)

    def reload(self, settings: str) -> None:
        """Put other settings into force."""
        self.router.registry = self.registry(settings, self.router.registry)

    async def items(self, call: Call) -> list[Item]:
        """All that answers the call."""
        self.calls += 1
        async with aclosing(self.engine.serve(call)) as items:
            return [item async for item in items]

    async def ask(self, call: Call | None = None, **changes: Any) -> str:
        """The answer's text, whoever gave it."""
        return said(await self.items(call or chat(**changes)))

    def deployment(self, name: str) -> Deployment:
        return next(d for d in self.engine.registry.used() if d.name == name)

    @property
    def row(self) -> LedgerRow:
        """The last one."""
        return self.ledger.rows[-1]

    def check(self) -> None:
        """Every request has one row, and nothing is counted that is over."""
        assert len(self.ledger.rows) == self.calls
        for deployment in self.engine.registry.used():
            assert deployment.health.in_flight == 0, deployment
            assert deployment.health.waiting_since(stream=True) is None
            assert deployment.health.waiting_since(stream=False) is None
            assert [limit.in_flight for limit in deployment.limits] == [0] * len(deployment.limits)


def said(items: Sequence[Item]) -> str:
    """The text of an answer."""
    texts = []
    for item in items:
        if isinstance(item, Delta):
            texts.append(item.text)
        elif isinstance(item, Embeddings):
            texts.append(str(item.vectors))
        elif item.data.startswith(b"{"):
            texts.append(json.loads(item.data)["said"])
        else:
            events = item.data.decode().split("\n\n")
            texts.extend(e.removeprefix("data: ") for e in events if e and e != "data: [DONE]")
    return "".join(texts)


def upstream(name: str, *scripts: Sequence[Step], **changes: Any) -> ScriptedUpstreamProvider:
    """A provider of the model "m", so that its deployment is called "NAME/m"."""
    return ScriptedUpstreamProvider(*scripts, name=name, endpoint=f"http://{name}.test", **changes)


@asynccontextmanager
async def world(
    settings: str, *endpoints: ScriptedUpstreamProvider, local: Sequence[Provider] = ()
) -> AsyncIterator[World]:
    """A world that is checked at the end."""
    found = World(settings, *endpoints, local=local)
    try:
        yield found
    finally:
        await found.router.close()
    found.check()
