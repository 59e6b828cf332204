"""What made the rows of a store: when it changes, every file is parsed again."""

from __future__ import annotations

import hashlib
import importlib.util
from functools import cache
from importlib.resources import files
from pathlib import Path

_FORMAT = "13"
"""Raise it when parse, rows, chunks, terms, file_names or languages give other rows for the same file."""


@cache
def extractor_version() -> str:
    """A digest of the query files and the versions of the grammars, without importing them."""
    digest = hashlib.blake2b(_FORMAT.encode(), digest_size=8)
    for item in sorted((files("ghostd.index") / "queries").iterdir(), key=lambda item: item.name):
        digest.update(item.read_bytes())
    found = importlib.util.find_spec("tree_sitter")
    if found is not None and found.origin is not None:
        names = sorted(item.name for item in Path(found.origin).parent.parent.glob("tree_sitter*.dist-info"))
        digest.update("\n".join(names).encode())
    return digest.hexdigest()
