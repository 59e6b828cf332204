"""The contract for upstream providers, by OpenAI's dialect and the services that speak it with few quirks."""

from __future__ import annotations

from providers.openai_dialect import OpenAIDialect

from ghostd.providers import presets
from ghostd.testing.upstream_contract import UpstreamContract


class TestOpenAI(UpstreamContract):
    dialect = OpenAIDialect(presets.openai, base64_vectors=True)


class TestOpenAICompatible(UpstreamContract):
    dialect = OpenAIDialect(presets.openai_compatible)
