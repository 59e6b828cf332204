"""The media type that a file's name tells, by Python's own table."""

from __future__ import annotations

import mimetypes
from pathlib import PurePosixPath


def media_type_of(name: str) -> str | None:
    """Of a file's name or a URL's path, by its suffix; None where that tells nothing."""
    suffix = PurePosixPath(name).suffix.lower()
    # Not `guess_type`, which looks for the system's tables first.
    return mimetypes.types_map.get(suffix) or mimetypes.common_types.get(suffix)
