"""The settings of files and batches: [files] and [batches]."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from ghostd.config.kinds import Bytes, Count

Window = Annotated[str, Meta(pattern=r"^[1-9][0-9]{0,3}[smhd]$")]


class FilesConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What clients upload, and what batches make."""

    max_bytes: Bytes = 512 * 1024 * 1024
    """Largest file."""
    max_total_bytes: Bytes = 8 * 1024 * 1024 * 1024
    """All files together; beyond it uploads are refused."""
    max_part_bytes: Bytes = 64 * 1024 * 1024
    """Largest part of a file that comes in parts."""
    max_uploads: Count = 100
    """Files that come in parts at once; each may take an hour."""
    keep_days: Count = 30
    """Files for batches, and of batches, that name no expiry are deleted after so many days; others are kept."""


class BatchesConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Batches of requests, run in the background."""

    concurrency: Count = 4
    """Requests of all batches that run at once."""
    max_requests: Count = 50_000
    """Requests of one batch."""
    max_active: Count = 20
    """Batches that have not ended; more are refused."""
    max_attempts: Count = 5
    """Tries of a request that fails for reasons that may pass; waiting for rate limits does not count."""
    completion_windows: tuple[Window, ...] = ("24h",)
    """Values of `completion_window` that are accepted: a number and s, m, h or d."""
    keep_days: Count = 30
    """Batches are forgotten so many days after their end."""
