"""A gateway before scripted upstreams."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from routing_harness import World

from ghostd.testing.gateway import Served, serving
from ghostd.testing.scripted import ScriptedUpstreamProvider

CHAT = "/v1/chat/completions"
MESSAGES = [{"role": "user", "content": "hi"}]


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway before scripted upstreams."""

    world: World
    served: Served
    client: aiohttp.ClientSession

    async def post(self, path: str = CHAT, headers: Any = None, **fields: Any) -> Answer:
        self.world.calls += 1
        body = {"model": "r", "messages": MESSAGES, **fields}
        async with self.client.post(self.served.url + path, json=body, headers=headers) as reply:
            return Answer(reply.status, reply.headers, await reply.read())


@asynccontextmanager
async def gateway(settings: str, *endpoints: ScriptedUpstreamProvider, **more: Any) -> AsyncIterator[Gateway]:
    world = World(settings, *endpoints, **more)
    http = world.engine.registry.config.http
    async with serving(engine=world.engine, config=http) as served, aiohttp.ClientSession() as client:
        yield Gateway(world, served, client)
        await world.router.close()
    world.check()
