"""Headers that were read once, kept on disk: one takes up to 0.1 s to read, and some people have hundreds.

The file is ghostd's own and may be deleted at any time; one that cannot be read is written anew.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ghostd.workers.gguf_header import GgufHeader

log = logging.getLogger(__name__)

_VERSION = 6
"""Goes up whenever GgufHeader, or the way in which it is read, changes."""
_MAX_FILE_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Stamp:
    """Tells one version of a file from the next."""

    size_bytes: int
    mtime_ns: int


class _Entry(msgspec.Struct, array_like=True):
    path: str
    stamp: Stamp
    header: GgufHeader


class _File(msgspec.Struct, array_like=True):
    version: int
    entries: list[_Entry]


Headers = dict[tuple[Path, Stamp], GgufHeader | str]
"""(path, stamp) → what its header says, or why there is none."""


def load_headers(file: Path) -> Headers:
    """What was kept. Blocks on the disk."""
    try:
        if file.stat().st_size > _MAX_FILE_BYTES:
            return {}
        kept = msgspec.msgpack.decode(file.read_bytes(), type=_File)
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.DecodeError) as error:
        log.info("the kept headers in %s cannot be used (%s); models' headers are read again", file, error)
        return {}
    if kept.version != _VERSION:
        return {}
    return {(Path(entry.path), entry.stamp): entry.header for entry in kept.entries}


def save_headers(file: Path, headers: Mapping[tuple[Path, Stamp], GgufHeader | str]) -> None:
    """Keep them; a failure is logged. Blocks on the disk."""
    entries = [
        _Entry(str(path), stamp, found) for (path, stamp), found in headers.items() if not isinstance(found, str)
    ]
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        temporary.write_bytes(msgspec.msgpack.encode(_File(_VERSION, entries)))
        temporary.replace(file)
    except OSError as error:
        log.info("models' headers cannot be kept in %s: %s", file, error)
        temporary.unlink(missing_ok=True)
