"""What the index says of projects. Paths of files are relative to their root; offsets into files are bytes of UTF-8."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Literal

path_of = lru_cache(maxsize=4096)(PurePosixPath)
"""The same object for the same path: equal ones that are two are compared and hashed part by part."""


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open byte range of one version of one file."""

    start: int
    end: int


SymbolKind = Literal[
    "class", "function", "method", "variable", "constant", "field", "enum", "enum_member", "interface",
    "type", "struct", "trait", "module", "macro", "property", "union", "test",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Symbol:
    """A definition in one file."""

    name: str
    kind: SymbolKind
    path: PurePosixPath
    """Relative to the root."""
    span: Span
    """The whole definition."""
    name_span: Span
    line: int
    """1-based line of the name."""
    container: str = ""
    """Dotted names of the enclosing definitions in this file; "" at the top level."""
    signature: str = ""
    """The definition's head on one line, at most 200 characters, without its body."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A use of a name."""

    name: str
    path: PurePosixPath
    span: Span
    line: int


ImportKind = Literal["import", "reexport", "exports", "mod"]
"""reexport: what is imported is also given on (`export … from`, `pub use`). exports: no import; the names are what the
file gives on by a list of its own (Python's `__all__`, JavaScript's `export {a as b}` and `export default a`, with
"*" where the list goes on in a way that cannot be read literally); `module` is "". mod: Rust's `mod x;`, whose
`module` is "x", or the file that `#[path]` names, or "" where the module stands in place; then it is in `as_names`."""


@dataclass(frozen=True, slots=True)
class Import:
    """One import statement's target, as written."""

    path: PurePosixPath
    module: str
    """"package.module", "./file", "std::collections", "<stdio.h>" as "stdio.h"."""
    names: tuple[str, ...]
    """Imported names, empty for a whole module; "*" for all."""
    line: int
    as_names: tuple[str, ...] = ()
    """What the names are called in this file, in their order; () when none is renamed.

    For a whole module that is called otherwise here: its one name.
    """
    kind: ImportKind = "import"
    container: str = ""
    """Dotted names of Rust's inline modules around the statement."""


@dataclass(frozen=True, slots=True)
class FileNames:
    """What one file defines and uses."""

    path: PurePosixPath
    symbols: tuple[Symbol, ...]
    """Its definitions, in source order."""
    uses: tuple[str, ...]
    """The names that it uses, each once; defined anywhere, or nowhere in the root."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """An indexed piece of a file: some consecutive lines."""

    path: PurePosixPath
    """Relative to the root."""
    first_line: int
    """1-based."""
    last_line: int
    """The last one of the chunk, itself included."""


@dataclass(frozen=True, slots=True)
class FoundChunk:
    """A chunk that a search found."""

    chunk: Chunk
    score: float
    """BM25; comparable within one answer only."""


@dataclass(frozen=True, slots=True)
class IndexedFile:
    """One file as the index saw it."""

    path: PurePosixPath
    language: str
    size_bytes: int
    changed_ns: int
    """When it last changed in any way."""
    content_hash: bytes
    """BLAKE2b-128 of the bytes."""


@dataclass(frozen=True, slots=True)
class Skip:
    """A path that was left out, with the reason in words that name the limit or rule."""

    path: PurePosixPath
    reason: str


@dataclass(frozen=True, slots=True)
class RootStatus:
    """One indexed root, now."""

    root: Path
    state: Literal["scanning", "indexing", "ready", "failed"]
    files: int
    symbols: int
    generation: int
    pending: int = 0
    """Files still to be parsed."""
    skipped: int = 0
    detail: str = ""


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What the last complete pass over a root did, and how much is in its index now."""

    root: Path
    files: int
    parsed: int
    """Files whose content that pass found changed."""
    symbols: int
    references: int
    imports: int
    size_bytes: int
    seconds: float
    skips: tuple[Skip, ...]
    """Ignored paths (by .gitignore and the like) are not skips."""


@dataclass(frozen=True, slots=True)
class ChangeBatch:
    """One committed transaction of a root's index."""

    root: Path
    generation: int
    changed: tuple[PurePosixPath, ...]
    removed: tuple[PurePosixPath, ...]
