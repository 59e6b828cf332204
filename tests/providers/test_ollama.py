"""The Ollama provider passes the contract of every upstream provider."""

from __future__ import annotations

from providers.ollama_dialect import OllamaDialect

from ghostd.testing.upstream_contract import UpstreamContract


class TestOllama(UpstreamContract):
    """Ollama's own API."""

    dialect = OllamaDialect()
