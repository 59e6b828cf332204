"""A gateway before one obedient server, over real sockets on both sides."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec
from obedient import anthropic, gemini, ollama, openai
from providers.anthropic_dialect import AnthropicDialect
from providers.gemini_dialect import GeminiDialect
from providers.ollama_dialect import OllamaDialect
from providers.openai_dialect import OpenAIDialect

from ghostd.config.providers import ProviderConfig
from ghostd.config.settings import Config
from ghostd.engine import Engine
from ghostd.routing.registry import Registry
from ghostd.testing.gateway import Served, serving
from ghostd.testing.memory_ledger import MemoryLedger
from ghostd.testing.scripted_upstream import Answer, ScriptedUpstream, Seen, scripted_upstream
from ghostd.testing.upstream_dialect import PROVIDER, UpstreamDialect, opened


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of service."""

    dialect: Callable[[], UpstreamDialect]
    serve: Callable[[Seen], Answer]
    chat_model: str
    embed_model: str | None


KINDS: Mapping[str, Kind] = {
    "openai": Kind(OpenAIDialect, openai.serve, openai.MODELS[0], openai.MODELS[1]),
    "anthropic": Kind(AnthropicDialect, anthropic.serve, AnthropicDialect.chat_model, None),
    "ollama": Kind(OllamaDialect, ollama.serve, OllamaDialect.chat_model, ollama.EMBEDDING_MODEL),
    "gemini": Kind(GeminiDialect, gemini.serve, GeminiDialect.chat_model, gemini.EMBEDDING_MODEL),
}


@dataclass(frozen=True, slots=True)
class Place:
    """A gateway, and what clients call the models behind it."""

    kind: str
    served: Served
    upstream: ScriptedUpstream
    chat_model: str
    embed_model: str | None

    @property
    def base_url(self) -> str:
        """Of OpenAI's dialect."""
        return f"{self.served.url}/v1"


@asynccontextmanager
async def place(name: str) -> AsyncIterator[Place]:
    """The gateway while the block runs."""
    kind = KINDS[name]
    names = tuple(model for model in (kind.chat_model, kind.embed_model) if model)
    async with scripted_upstream(kind.serve) as upstream:
        settings = ProviderConfig(models=names)
        async with opened(kind.dialect(), upstream, settings) as provider:
            asked = {"providers": {PROVIDER: {"preset": "openai-compatible", "base_urls": [provider.endpoint]}}}
            registry = Registry(msgspec.convert(asked, Config), (), {PROVIDER: (provider,)})
            engine = Engine(registry=registry, ledger=MemoryLedger())
            try:
                async with serving(engine=engine) as served:
                    embeds = f"{PROVIDER}/{kind.embed_model}" if kind.embed_model else None
                    yield Place(name, served, upstream, f"{PROVIDER}/{kind.chat_model}", embeds)
            finally:
                await engine.router.close()
