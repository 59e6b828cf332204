"""The settings of embeddings: [embeddings]."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from ghostd.config.kinds import Bytes, Count, Seconds


class EmbeddingsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Vectors of the projects' chunks, for what a prompt quotes."""

    model: str = ""
    """Model that makes them, any that embeds: a GGUF file's, a server's, a cloud's; "": there are none."""
    allow_cloud: bool = False
    """Whether the projects' text may be sent to a model that is not on this machine; secrets are taken out of it."""
    dimensions: Count | None = None
    """Length of the vectors; unset: the model's own."""
    document_prefix: str = ""
    """What the model wants before a text that is to be found, e.g. "search_document: "."""
    query_prefix: str = ""
    """What the model wants before a text that is looked for, e.g. "search_query: "."""
    batch_chunks: Annotated[int, Meta(ge=1, le=2048)] = 32
    """Chunks of one request to the model; one request runs at a time."""
    max_chunk_chars: Annotated[int, Meta(ge=100)] = 2_000
    """Characters of a chunk's text, its file's path included; the rest of a longer one is not sent."""
    pause_s: Annotated[float, Meta(ge=0)] = 10.0
    """The longest that a request waits while others run."""
    timeout_s: Seconds = 120.0
    """Time of one request."""
    max_chunks: Count = 200_000
    """Chunks of one root; further files have no vectors."""
    max_bytes: Bytes = 512 * 1024 * 1024
    """Vectors of one root on the disk; further files have none."""
