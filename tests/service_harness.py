"""A gateway before a real OpenAI provider, whose service is a scripted server."""

from __future__ import annotations

import email
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.message import Message
from typing import Any

import openai
from providers.openai_dialect import OpenAIDialect

from ghostd.config.http import HttpConfig
from ghostd.config.providers import ProviderConfig
from ghostd.config.settings import Config
from ghostd.engine import Engine
from ghostd.gateway.routes import Route
from ghostd.providers import presets
from ghostd.routing.registry import Registry
from ghostd.testing.gateway import Served, serving
from ghostd.testing.memory_ledger import MemoryLedger
from ghostd.testing.scripted_upstream import ScriptedUpstream, Seen, scripted_upstream
from ghostd.testing.upstream_dialect import PROVIDER, opened

MODELS = ("gpt-4.1", "whisper-1", "gpt-4o-transcribe", "gpt-image-1", "dall-e-2", "tts-1")


@dataclass(frozen=True, slots=True)
class Service:
    """The gateway, the scripted service behind it, and the official SDK before it."""

    engine: Engine
    served: Served
    upstream: ScriptedUpstream
    client: openai.AsyncOpenAI
    ledger: MemoryLedger

    def model(self, name: str) -> str:
        """The name under which the gateway offers a model of the service."""
        return f"{PROVIDER}/{name}"


@asynccontextmanager
async def service(
    http: HttpConfig | None = None,
    doors: Callable[[Engine], Sequence[Route]] = lambda _: (),
    models: Sequence[str] = MODELS,
) -> AsyncIterator[Service]:
    """All of it while the block runs."""
    dialect = OpenAIDialect(presets.openai)
    settings = ProviderConfig(models=tuple(models))
    async with scripted_upstream(dialect.serve) as upstream, opened(dialect, upstream, settings) as provider:
        ledger = MemoryLedger()
        config = Config(providers={PROVIDER: settings})
        engine = Engine(registry=Registry(config, (), {PROVIDER: [provider]}), ledger=ledger)
        async with (
            serving(engine=engine, config=http, doors=doors(engine)) as served,
            openai.AsyncOpenAI(base_url=f"{served.url}/v1", api_key="unused", max_retries=0, timeout=20) as client,
        ):
            yield Service(engine, served, upstream, client, ledger)
            await engine.router.close()


def form_of(seen: Seen) -> list[Message[str, str]]:
    """The parts of a multipart request, read by the standard library's parser of mail."""
    head = f"Content-Type: {seen.headers['content-type']}\r\n\r\n".encode()
    message = email.message_from_bytes(head + seen.body)
    assert message.is_multipart()
    parts: Any = message.get_payload()
    return list(parts)


def field_of(seen: Seen, name: str) -> bytes:
    """The content of the one part of this name."""
    (part,) = [part for part in form_of(seen) if part.get_param("name", header="content-disposition") == name]
    content: Any = part.get_payload(decode=True)
    return bytes(content)
