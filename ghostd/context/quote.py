"""How pieces of the project stand in a prompt: each below a comment that names its file."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import PurePosixPath

from ghostd.context.selection import ContextChunk

_HASH = frozenset((".py", ".pyi", ".rb", ".sh", ".bash", ".zsh", ".toml", ".yaml", ".yml", ".pl", ".r", ".jl", ".ex"))
_DASHES = frozenset((".lua", ".sql", ".hs", ".elm", ".ada", ".vhd"))


def comment_mark(path: PurePosixPath) -> str:
    """What begins a comment of one line in a file of this name; "//" where nothing else is known."""
    suffix = path.suffix.lower()
    return "#" if suffix in _HASH or path.name in ("Makefile", "Dockerfile") else "--" if suffix in _DASHES else "//"


def _shown(path: PurePosixPath) -> str:
    return "".join(character if character.isprintable() else "�" for character in str(path))


def quoted(chunk: ContextChunk, mark: str) -> str:
    """A piece as it stands in a prompt."""
    return f"{mark} {_shown(chunk.path)}\n{chunk.text}\n\n"


@lru_cache(maxsize=4096)
def frame_bytes(path: PurePosixPath) -> int:
    """At most how much longer a piece of this file is as it stands in a prompt."""
    return len(f"// {_shown(path)}\n\n\n".encode("utf-8", "replace"))


def prompt_of(chunks: Iterable[ContextChunk], path: PurePosixPath) -> str:
    """All that is quoted for a file, in this order."""
    mark = comment_mark(path)
    return "".join(quoted(chunk, mark) for chunk in chunks)
