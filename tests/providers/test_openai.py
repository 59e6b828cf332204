"""The contract for upstream providers, by OpenAI's dialect and the services that speak it with few quirks."""

from __future__ import annotations

from providers.openai_dialect import LlamaServerDialect, MistralDialect, OpenAIDialect, TgiDialect

from ghostd.providers import presets
from ghostd.testing.upstream_contract import UpstreamContract


class TestOpenAI(UpstreamContract):
    dialect = OpenAIDialect(presets.openai, base64_vectors=True)


class TestOpenAICompatible(UpstreamContract):
    dialect = OpenAIDialect(presets.openai_compatible)


class TestVllm(UpstreamContract):
    dialect = OpenAIDialect(presets.vllm)


class TestMistral(UpstreamContract):
    dialect = MistralDialect()


class TestLlamaServer(UpstreamContract):
    dialect = LlamaServerDialect()


class TestTgi(UpstreamContract):
    dialect = TgiDialect()
