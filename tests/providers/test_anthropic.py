"""The Anthropic provider passes the contract of every upstream provider."""

from __future__ import annotations

from providers.anthropic_dialect import AnthropicDialect

from ghostd.testing.upstream_contract import UpstreamContract


class TestAnthropic(UpstreamContract):
    """The Messages API."""

    dialect = AnthropicDialect()
