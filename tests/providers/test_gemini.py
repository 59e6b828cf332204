"""The Gemini provider passes the contract of every upstream provider."""

from __future__ import annotations

from providers.gemini_dialect import GeminiDialect

from ghostd.testing.upstream_contract import UpstreamContract


class TestGemini(UpstreamContract):
    """The Gemini API."""

    dialect = GeminiDialect()
