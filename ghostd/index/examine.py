"""One file → its row: read it, check it, hash it, parse it."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import replace

from ghostd.index.chunks import Chunked, chunk_file
from ghostd.index.contents import Content
from ghostd.index.file_names import is_data
from ghostd.index.inside import OPEN_FLAGS, lies_at
from ghostd.index.languages import GRAMMARS, language_of
from ghostd.index.rows import encode_outline, encode_uses, name_crc
from ghostd.index.scan import Limits, refusal
from ghostd.index.store import Known, Record, Touched
from ghostd.index.terms import TermKeys

_BINARY_PROBE_BYTES = 8192
_SETTLED_NS = 50_000_000
"""A file that was written less than this before it was read may change again without a new mtime."""

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
    root: str, path: str, limits: Limits, known: Known | None, promise: Promise, guard: Guard
) -> Record | Touched:
    """The file's new row, or its new status when its content is what `known` says.

    Raises Gone.
    """
    try:
        return _examine(root, path, limits, known, promise, guard)
    except MemoryError:
        status = _status(root, path)
        return _left_out(path, status, "reading it needs more memory than index.parse_memory_mb allows")


def _examine(
    root: str, path: str, limits: Limits, known: Known | None, promise: Promise, guard: Guard
) -> Record | Touched:
    try:
        descriptor = os.open(f"{root}/{path}", OPEN_FLAGS)
    except FileNotFoundError as error:
        raise Gone from error
    except OSError as error:
        return _unreadable(root, path, error)
    try:
        status = os.fstat(descriptor)
        if refusal(root, path, status, limits) is not None or not lies_at(descriptor, root, path):
            raise Gone  # the walk that follows its change says why
        settled = time.time_ns() - status.st_mtime_ns > _SETTLED_NS
        source = _read(descriptor, status.st_size)
    except OSError as error:
        return _unreadable(root, path, error)
    finally:
        os.close(descriptor)
    stamp = (len(source), status.st_mtime_ns, settled)
    language = language_of(path.rpartition("/")[2], source)
    problem = _problem(source, limits)
    if problem is not None:
        return Record(path, language, *stamp, None, problem)
    digest = hashlib.blake2b(source, digest_size=16).digest()
    if known is not None and known.hash == digest:
        return Touched(known.file_id, *stamp)
    record = Record(path, language, *stamp, digest)
    if promise(digest, language):
        return record
    return _parsed(record, source, guard)


def examine_text(path: str, source: bytes, limits: Limits, guard: Guard) -> Record:
    """The row that a file of this text would have."""
    digest = hashlib.blake2b(source, digest_size=16).digest()
    record = Record(path, language_of(path.rpartition("/")[2], source), len(source), 0, True, digest)
    problem = _problem(source, limits)
    return _parsed(record, source, guard) if problem is None else _with_problem(record, problem)


def failed(root: str, path: str, reason: str, limits: Limits) -> Record:
    """The row of a file that the parser did not survive; it is tried again when its content changes.

    Raises Gone.
    """
    try:
        descriptor = os.open(f"{root}/{path}", OPEN_FLAGS)
    except OSError as error:
        raise Gone from error
    try:
        status = os.fstat(descriptor)
        if refusal(root, path, status, limits) is not None or not lies_at(descriptor, root, path):
            raise Gone
        source = _read(descriptor, status.st_size)
    except OSError as error:
        raise Gone from error
    finally:
        os.close(descriptor)
    digest = hashlib.blake2b(source, digest_size=16).digest()
    language = language_of(path.rpartition("/")[2], source)
    return Record(path, language, len(source), status.st_mtime_ns, True, digest, reason)


def _parsed(record: Record, source: bytes, guard: Guard) -> Record:
    grammar = GRAMMARS.get(record.language)
    results: list[Content] = []

    def step() -> None:
        results.append(_content(record, grammar, source))

    try:
        if grammar is not None and grammar not in _loaded:
            # Imported late: a pass that finds nothing to parse does without tree-sitter.
            from ghostd.index.parse import load

            guard(record.path, lambda: load(grammar), False)
            _loaded.add(grammar)
        guard(record.path, step, True)
    except MemoryError:
        return _with_problem(record, "parsing it needs more memory than index.parse_memory_mb allows")
    except (ArithmeticError, LookupError, ValueError, RuntimeError) as error:  # else all of the root would fail
        return _with_problem(record, f"the parser failed: {error}")
    return replace(record, content=results[0])


def _content(record: Record, grammar: str | None, source: bytes) -> Content:
    name, language = record.path.rpartition("/")[2], record.language
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
        defined=frozenset(symbol[0] for symbol in parsed.symbols),
        used=frozenset(map(name_crc, parsed.references)),
        symbol_count=len(parsed.symbols),
        use_count=sum(map(len, parsed.references.values())),
        import_count=len(parsed.imports),
        chunk_count=chunked.chunks,
        posting_count=chunked.postings,
    )


def _with_problem(record: Record, problem: str) -> Record:
    return Record(record.path, record.language, record.size, record.mtime_ns, record.settled, record.hash, problem)


def _problem(source: bytes, limits: Limits) -> str | None:
    if b"\0" in source[:_BINARY_PROBE_BYTES]:
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


def _read(descriptor: int, size: int) -> bytes:
    """Up to `size` bytes and one more; a file that grows meanwhile is read again by its change event."""
    pieces: list[bytes] = []
    while size >= 0:
        piece = os.read(descriptor, size + 1)
        if not piece:
            break
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def _unreadable(root: str, path: str, error: OSError) -> Record:
    return _left_out(path, _status(root, path), f"unreadable: {error.strerror}")


def _status(root: str, path: str) -> os.stat_result:
    try:
        return os.lstat(f"{root}/{path}")
    except OSError as gone:
        raise Gone from gone


def _left_out(path: str, status: os.stat_result, problem: str) -> Record:
    """The row of a file that was not read; not settled, as permissions change without a new mtime."""
    language = language_of(path.rpartition("/")[2])
    return Record(path, language, status.st_size, status.st_mtime_ns, False, None, problem)
