"""Files that clients upload, and batches of requests. All values are frozen; times are seconds since the epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

BatchStatus = Literal[
    "validating", "failed", "in_progress", "finalizing", "completed", "expired", "cancelling", "cancelled"
]
"""OpenAI's words. failed: the input file is no good, and nothing was asked."""
ENDED: frozenset[BatchStatus] = frozenset(("failed", "completed", "expired", "cancelled"))
UPLOAD_PART = "upload_part"
"""Purpose of the parts of a file that comes in parts: they are in no list."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that is kept."""

    id: str
    purpose: str
    filename: str
    """For people: nothing on the disk is called so."""
    size_bytes: int
    created_s: int
    expires_s: int | None = None


@dataclass(frozen=True, slots=True)
class BatchProblem:
    """What is wrong with an input file."""

    code: str
    message: str
    line: int | None = None
    """1-based."""
    param: str | None = None


@dataclass(frozen=True, slots=True)
class BatchUsage:
    """Tokens of all requests that were answered."""

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0

    def plus(self, other: BatchUsage) -> BatchUsage:
        """The sum."""
        return BatchUsage(
            self.input_tokens + other.input_tokens,
            self.cached_tokens + other.cached_tokens,
            self.output_tokens + other.output_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBatch:
    """A batch as a client asks for it."""

    endpoint: str
    """Path of the API: "/v1/chat/completions"."""
    input_file_id: str
    completion_window: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    output_expires_after_s: int | None = None
    hints: Mapping[str, str] = field(default_factory=dict)
    """Headers that go with each of its requests: who asked ("x-client", "x-project")."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A batch, now."""

    id: str
    wanted: NewBatch
    status: BatchStatus
    created_s: int
    expires_s: int
    in_progress_s: int | None = None
    finalizing_s: int | None = None
    completed_s: int | None = None
    failed_s: int | None = None
    expired_s: int | None = None
    cancelling_s: int | None = None
    cancelled_s: int | None = None
    problems: tuple[BatchProblem, ...] = ()
    total: int = 0
    completed: int = 0
    failed: int = 0
    usage: BatchUsage = BatchUsage()
    model: str | None = None
    """The one that all its requests name, None where they name several."""
    output_file_id: str | None = None
    error_file_id: str | None = None

    @property
    def ended_s(self) -> int | None:
        """When it ended; None while it has not."""
        return self.completed_s or self.failed_s or self.expired_s or self.cancelled_s


@dataclass(frozen=True, slots=True)
class BackgroundRequest:
    """A request that nobody waits for."""

    path: str
    """Of the API: "/v1/chat/completions"."""
    body: bytes
    """JSON."""
    hints: Mapping[str, str] = field(default_factory=dict)
    """Headers, lower case."""


@dataclass(frozen=True, slots=True)
class BackgroundReply:
    """What a client would have got."""

    status: int
    request_id: str
    body: bytes
    code: str | None = None
    """Of the error object."""
    retry_after_s: float | None = None
    hopeless: bool = False
    """Whether it says that to ask again is of no use."""
