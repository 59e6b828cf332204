"""What the control API says, shared by the daemon's side and its client."""

from __future__ import annotations

import msgspec

from ghostd.routing_reports import DeploymentReport, KeyReport


class EmbeddingState(msgspec.Struct, frozen=True):
    """How far a root's chunks have vectors."""

    state: str
    """waiting, embedding, ready, failed or refused."""
    model: str
    embedded: int
    """Chunks that have vectors."""
    chunks: int
    """Chunks that are to have some, these included."""
    left_out: int = 0
    """Files beyond the limits."""
    detail: str = ""


class RootState(msgspec.Struct, frozen=True):
    """One indexed root."""

    path: str
    state: str
    """scanning, indexing, ready or failed."""
    files: int
    symbols: int
    pending: int
    skipped: int
    learned: bool
    """Whether ghostd/project covers it."""
    detail: str = ""
    history: str = ""
    """How far git history has been read, or why not; "" where there is none, or before the index is ready."""
    embeddings: EmbeddingState | None = None
    """None where no model for them is set."""


class SkipState(msgspec.Struct, frozen=True):
    """A path left out of a root's index, relative to the root, and why."""

    path: str
    reason: str


class RootReport(msgspec.Struct, frozen=True):
    """What the last complete pass over a root found."""

    path: str
    files: int
    parsed: int
    """Files whose content had changed since the pass before."""
    symbols: int
    references: int
    imports: int
    size_bytes: int
    seconds: float
    skips: list[SkipState]


class ModelState(msgspec.Struct, frozen=True):
    """One model on offer."""

    id: str
    owned_by: str
    capabilities: list[str]
    state: str
    context_tokens: int | None = None
    size_bytes: int | None = None
    detail: str = ""
    source: str = ""
    """Where a local model was found."""


class Status(msgspec.Struct, frozen=True):
    """What a daemon is and does now."""

    version: str
    pid: int
    uptime_s: float
    url: str
    home: str
    """Folder of its data."""
    memory_bytes: int
    """Resident memory of the daemon's own process."""
    roots: list[RootState]
    models: list[ModelState]
    ollama_url: str = ""
    """Of the second port (http.ollama_port), where it is served."""
    warnings: list[str] = []
    """What the configuration wants and could not be had."""


class Done(msgspec.Struct, frozen=True):
    """What an action did, in words."""

    done: str


class HealthReport(msgspec.Struct, frozen=True):
    """How what is asked over the network fares."""

    deployments: list[DeploymentReport]
    keys: list[KeyReport]


class ProblemDetail(msgspec.Struct, frozen=True):
    """The inside of an OpenAI error object, as far as the client needs it."""

    message: str


class Problem(msgspec.Struct, frozen=True):
    """An OpenAI error object."""

    error: ProblemDetail
