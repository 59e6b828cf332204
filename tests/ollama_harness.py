"""Requests in Ollama's dialect to a gateway before a provider of another one."""

from __future__ import annotations

import json
from typing import Any

from gateway_harness import Answer, gateway
from routing_harness import USAGE, upstream

from ghostd.testing.scripted import Step
from ghostd.types import Delta

ONE = 'routes.r.deployments = ["a/m"]'
END = Delta(finish_reason="stop", usage=USAGE)
HELLO: list[Step] = [Delta("hello "), Delta("world"), END]
CHAT, GENERATE, EMBED = "/api/chat", "/api/generate", "/api/embed"
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


async def ask(path: str, script: list[Step], headers: Any = None, **fields: Any) -> Answer:
    async with gateway(ONE, upstream("a", script, relays=())) as g:
        return await g.post(path, headers, **fields)


async def sent(path: str = CHAT, script: list[Step] = HELLO, **fields: Any) -> Any:
    """What a provider of another dialect is asked."""
    async with gateway(ONE, a := upstream("a", script, relays=())) as g:
        answer = await g.post(path, None, **fields)
        assert answer.status == 200, answer.body
        return a.asked[0]


def lines(answer: Answer) -> list[Any]:
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.body.endswith(b"\n")
    return [json.loads(line) for line in answer.body.splitlines()]


async def refused(path: str, **fields: Any) -> str:
    """The message of a 400, which must reach no provider."""
    async with gateway(ONE, a := upstream("a", HELLO, relays=())) as g:
        answer = await g.post(path, None, **fields)
        assert (answer.status, list(answer.json)) == (400, ["error"]), answer.body
        assert a.asked == []
        assert g.world.row.status == "refused"
        message: str = answer.json["error"]
        return message
