"""Whether the attempt under way has sent anything to a service: tells ghostd's own mistakes from those in replies."""

from __future__ import annotations

from contextvars import ContextVar

asked = ContextVar("asked", default=False)
"""Set by whatever sends a request, and taken back when an attempt begins."""
