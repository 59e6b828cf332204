"""The settings of the log: [log]."""

from __future__ import annotations

from typing import Literal

import msgspec


class LogConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is written to the log."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severity that is logged."""
    format: Literal["text", "json"] = "text"
    """Lines for people or JSON objects."""
