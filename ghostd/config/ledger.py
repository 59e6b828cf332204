"""The settings of the record of requests: [ledger]."""

from __future__ import annotations

import msgspec

from ghostd.config.kinds import Count, Seconds


class LedgerConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The record of requests, tokens and costs."""

    enabled: bool = True
    """Whether requests are recorded."""
    flush_s: Seconds = 1.0
    """How long rows may wait in the journal before they are moved to the database."""
    retention_days: Count = 400
    """Older rows are deleted."""
    prices: str | None = None
    """A TOML file of prices that replaces or adds to the built-in table; relative to the configuration's folder."""
