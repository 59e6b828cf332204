"""File URIs → paths."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit


def file_path(uri: str) -> Path | None:
    """The absolute path that a file URI names; None for any other URI (`untitled:`, remote hosts, malformed ones)."""
    try:
        parts = urlsplit(uri)
        path = unquote_to_bytes(parts.path).decode(errors="surrogateescape")
    except ValueError:
        return None
    if parts.scheme.lower() != "file" or parts.netloc not in {"", "localhost"}:
        return None
    if not path.startswith("/") or "\0" in path:
        return None
    return Path(path)
