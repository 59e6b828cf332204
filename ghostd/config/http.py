"""The settings of HTTP: [http]."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from ghostd.config.kinds import Bytes, Count, Seconds


class HttpConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The OpenAI-compatible port."""

    host: str = "127.0.0.1"
    """Loopback address to listen on."""
    port: Annotated[int, Meta(ge=0, le=65535)] = 8080
    """TCP port; 0 takes a free one, which the ready line names."""
    ollama_port: Annotated[int, Meta(ge=0, le=65535)] = 0
    """A second loopback port for clients that look for Ollama (its own is 11434); taken only if it is free, 0: none."""
    allowed_hosts: tuple[str, ...] = ()
    """Further `Host` header values to accept, exactly as sent, e.g. "devbox.local:8080"."""
    llamacpp_model: str = "auto"
    """Model for llama.cpp's, Tabby's and Mistral's clients where a request names none."""
    max_body_bytes: Bytes = 32 * 1024 * 1024
    """Largest request body."""
    max_bodies_bytes: Bytes = 256 * 1024 * 1024
    """All request bodies in memory at once; those beyond it wait for up to 5 s, then get a 503 with `retry-after`."""
    max_json_depth: Count = 64
    """Deepest nesting of a JSON body."""
    header_timeout_s: Seconds = 10.0
    """Time a client may take to send its request line and headers."""
    body_timeout_s: Seconds = 30.0
    """Time a client may take to send its body."""
    request_timeout_s: Seconds = 600.0
    """Time one request may take in all."""
    max_connections: Count = 512
    """Open connections at once."""
