"""One file → its row: read it, check it, hash it, parse it."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ghostd.index.chunks import Chunked, chunk_file
from ghostd.index.contents import Content
from ghostd.index.file_names import is_data
from ghostd.index.inside import RootFiles
from ghostd.index.languages import GRAMMARS, language_of
from ghostd.index.rows import encode_outline, encode_uses, name_crc
from ghostd.index.scan import Limits, changed_ns, refusal
from ghostd.index.store import Known, Record, Touched
from ghostd.index.terms import TermKeys

if TYPE_CHECKING:
    from ghostd.index.parse import SymbolRow

_BINARY_PROBE_BYTES = 8192
_PIECE_BYTES = 64 * 1024
"""Read at once."""
_SETTLED_NS = 50_000_000
"""A file that was written less than this before it was read may change again without a new time."""

_MAX_CONTAINERS_CHARS = 2000

Guard = Callable[[str, Callable[[], None], bool], None]
"""Runs a step that may kill the process, so that a survivor knows by which file; True: under the time limit."""


Promise = Callable[[bytes, str], bool]
"""Whether the store knows what is in the content of this hash and language."""

_keys = TermKeys()
_loaded: set[str] = set()
"""Grammars."""


class Gone(Exception):
    """The file is no longer there, or no regular file any more."""


def examine(
    files: RootFiles, path: str, limits: Limits, known: Known | None, promise: Promise, guard: Guard
) -> Record | Touched:
    """The file's new row, or its new status when its content is what `known` says.

    Raises Gone.
    """
    try:
        status, source = _read(files, path, limits)
    except Gone:
        raise
    except OSError as error:
        return _left_out(path, _status(files.root, path), f"unreadable: {error.strerror}")
    except MemoryError:
        reason = "reading it needs more memory than index.parse_memory_mb allows"
        return _left_out(path, _status(files.root, path), reason)
    settled = time.time_ns() - changed_ns(status) > _SETTLED_NS
    stamp = (status.st_size, changed_ns(status), settled)
    language = language_of(path.rpartition("/")[2], source)
    problem = _problem(source, limits)
    if problem is not None:
        return Record(path, language, *stamp, None, problem)
    digest = _digest(source)
    if known is not None and known.hash == digest:
        return Touched(known.file_id, *stamp)
    if promise(digest, language):
        return Record(path, language, *stamp, digest)
    return Record(path, language, *stamp, digest, *_parsed(path, language, source, guard))


def examine_text(path: str, source: bytes, limits: Limits, guard: Guard) -> Record:
    """The row that a file of this text would have."""
    language, problem, content = language_of(path.rpartition("/")[2], source), _problem(source, limits), None
    if problem is None:
        problem, content = _parsed(path, language, source, guard)
    return Record(path, language, len(source), 0, True, _digest(source), problem, content)


def failed(files: RootFiles, path: str, reason: str, limits: Limits) -> Record:
    """The row of a file that the parser did not survive; it is tried again when its content changes.

    Raises Gone.
    """
    try:
        status, source = _read(files, path, limits)
    except OSError as error:
        raise Gone from error
    language = language_of(path.rpartition("/")[2], source)
    return Record(path, language, status.st_size, changed_ns(status), True, _digest(source), reason)


def _parsed(path: str, language: str, source: bytes, guard: Guard) -> tuple[str | None, Content | None]:
    """What keeps the text from being parsed, or else what is in it."""
    grammar = GRAMMARS.get(language)
    results: list[Content] = []

    def step() -> None:
        results.append(_content(path.rpartition("/")[2], language, grammar, source))

    try:
        if grammar is not None and grammar not in _loaded:
            # Imported late: a pass that finds nothing to parse does without tree-sitter.
            from ghostd.index.parse import load

            guard(path, lambda: load(grammar), False)
            _loaded.add(grammar)
        guard(path, step, True)
    except MemoryError:
        return "parsing it needs more memory than index.parse_memory_mb allows", None
    except (ArithmeticError, LookupError, ValueError, RuntimeError) as error:  # else all of the root would fail
        return f"the parser failed: {error}", None
    return None, results[0]


def _content(name: str, language: str, grammar: str | None, source: bytes) -> Content:
    wanted = not is_data(name, language, source)
    if grammar is None:
        chunked = chunk_file(source, source.split(b"\n"), None, language, _keys) if wanted else Chunked()
        return Content(chunks=chunked.blob, chunk_count=chunked.chunks, posting_count=chunked.postings)
    from ghostd.index.parse import parse

    parsed = parse(grammar, source)
    lines = source.split(b"\n")
    chunked = chunk_file(source, lines, parsed.symbols, language, _keys) if wanted else Chunked()
    return Content(
        outline=encode_outline(parsed.symbols, parsed.imports),
        uses=encode_uses(parsed.references, lines),
        chunks=chunked.blob,
        defined=_containers(parsed.symbols),
        used=frozenset(map(name_crc, parsed.references)),
        symbol_count=len(parsed.symbols),
        use_count=sum(map(len, parsed.references.values())),
        import_count=len(parsed.imports),
        chunk_count=chunked.chunks,
        posting_count=chunked.postings,
    )


def _containers(symbols: Iterable[SymbolRow]) -> dict[str, str | None]:
    """The names of symbols, each with its containers, a line each; None where these are too much for a row."""
    found: dict[str, dict[str, None]] = {}
    for symbol in symbols:
        found.setdefault(symbol[0], {})[symbol[7]] = None
    lines = ((name, "\n".join(containers)) for name, containers in found.items())
    return {name: text if len(text) <= _MAX_CONTAINERS_CHARS else None for name, text in lines}


def _problem(source: bytes, limits: Limits) -> str | None:
    if _is_binary(source):
        return "binary (a NUL byte in its first 8 KiB)"
    if not source.isascii():
        try:
            source.decode("utf-8")
        except UnicodeDecodeError as error:
            return f"not UTF-8 text (byte {error.start})"
    if _has_longer_line(source, limits.max_line_bytes):
        return f"a line longer than index.max_line_bytes ({limits.max_line_bytes} bytes)"
    return None


def _has_longer_line(source: bytes, limit: int) -> bool:
    """Looks at one line feed in `limit` bytes: the last one before a line that starts here would be too long."""
    start = 0
    while len(source) - start > limit:
        found = source.rfind(b"\n", start, start + limit + 1)
        if found < 0:
            return True
        start = found + 1
    return False


def _digest(source: bytes) -> bytes:
    return hashlib.blake2b(source, digest_size=16).digest()


def _read(files: RootFiles, path: str, limits: Limits) -> tuple[os.stat_result, bytes]:
    """The file's status, and its bytes as far as the status goes: one that grows is read again by its change event.

    Of a binary file only the first piece is read. Raises Gone, or OSError when it is unreadable.
    """
    try:
        descriptor = files.open(path)
    except FileNotFoundError as error:
        raise Gone from error
    try:
        status = os.fstat(descriptor)
        if refusal(files.root, path, status, limits) is not None:
            raise Gone  # the walk that follows its change says why
        left = status.st_size
        pieces: list[bytes] = []
        while left > 0 and (piece := os.read(descriptor, min(left, _PIECE_BYTES))):
            pieces.append(piece)
            left -= len(piece)
            if _is_binary(pieces[0]):
                break
        return status, b"".join(pieces)
    finally:
        os.close(descriptor)


def _is_binary(source: bytes) -> bool:
    return source.find(b"\0", 0, _BINARY_PROBE_BYTES) >= 0


def _status(root: str, path: str) -> os.stat_result:
    try:
        return os.lstat(f"{root}/{path}")
    except OSError as gone:
        raise Gone from gone


def _left_out(path: str, status: os.stat_result, problem: str) -> Record:
    """The row of a file that was not read; not settled, as permissions change without a new time."""
    language = language_of(path.rpartition("/")[2])
    return Record(path, language, status.st_size, changed_ns(status), False, None, problem)
