"""Building a segment; runs in a process of its own, the only place where the project model uses numpy."""

from __future__ import annotations

import json
import os
import tempfile
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ghostd.project_model.segment import CONTEXT, HEADER, MAGIC, VERSION, LearnedFile
from ghostd.project_model.tokens import EDGE, FIRST_WORD, Indentation, lines_of, shape_of, split_line

MAX_WORDS = 900_000
"""Different words of one root. Tokens must be code points, of which there are 1,114,112."""

Ints = npt.NDArray[np.int32]


class _Stream:
    """Collects the tokens of all files, with provisional ids in the order of appearance."""

    def __init__(self, max_tokens: int) -> None:
        self.ids: dict[str, int] = {}
        self.tokens: list[int] = [EDGE] * CONTEXT
        self.files: list[LearnedFile] = []
        self._lines: dict[str, list[int]] = {}
        self._parts: list[Ints] = []
        self._length = 0
        self._max_tokens = max_tokens

    def add(self, path: str, content_hash: str, content: bytes) -> bool:
        """Append one file; False when it would exceed the limit, and was left out: it then has an empty part."""
        start = self._length + len(self.tokens)
        tokens = [EDGE]
        indentation = Indentation()
        lines = self._lines
        for width, body, blank in lines_of(content.decode("utf-8", "replace")):
            tokens.append(indentation.step(width, blank))
            known = lines.get(body)
            if known is None:
                ids = self.ids
                known = lines[body] = [ids.setdefault(word, len(ids) + FIRST_WORD) for word in split_line(body)]
            tokens += known
        if start + len(tokens) > self._max_tokens or len(self.ids) > MAX_WORDS:
            self.files.append(LearnedFile(path, content_hash, 0, 0))
            return False
        self.tokens += tokens
        self.files.append(LearnedFile(path, content_hash, start, start + len(tokens)))
        if len(self.tokens) > 1 << 18:
            self._spill()
        if len(lines) > 1 << 17:
            lines.clear()
        return True

    def _spill(self) -> None:
        self._parts.append(np.array(self.tokens, dtype=np.int32))
        self._length += len(self.tokens)
        self.tokens = []

    def finish(self) -> tuple[Ints, list[bytes]]:
        """The stream and its words, with the ids in the words' order."""
        self.tokens.append(EDGE)
        self._spill()
        stream = np.concatenate(self._parts)
        words = [word.encode("utf-8", "replace") for word in self.ids]
        ranking = sorted(range(len(words)), key=words.__getitem__)
        new_id = np.arange(len(words) + FIRST_WORD, dtype=np.int32)
        for rank, old in enumerate(ranking):
            new_id[old + FIRST_WORD] = rank + FIRST_WORD
        return new_id[stream], [words[old] for old in ranking]


def sort_by_context(stream: Ints) -> Ints:
    """The positions sorted by the CONTEXT tokens that end there, by prefix doubling."""
    rank = stream.astype(np.int64)
    back = 1
    while True:
        earlier = np.zeros_like(rank)
        earlier[back:] = rank[:-back]
        key = rank * (int(rank.max()) + 1) + earlier
        order = np.argsort(key, kind="stable")
        back *= 2
        if back >= CONTEXT:
            return order.astype(np.int32)
        ordered = key[order]
        steps = np.empty(len(key), dtype=np.int64)
        steps[0] = 0
        np.cumsum(ordered[1:] != ordered[:-1], out=steps[1:])
        rank = np.empty_like(steps)
        rank[order] = steps


def build(files: Iterable[tuple[str, str, bytes]], target: Path, max_tokens: int) -> Sequence[str]:
    """Write the segment of these (path, content hash, content) to `target`, whole or not at all.

    Returns the paths that were left out because the stream was full.
    """
    collected = _Stream(max_tokens)
    left_out = [path for path, digest, content in files if not collected.add(path, digest, content)]
    stream, words = collected.finish()
    shape = np.arange(len(words) + FIRST_WORD, dtype=np.int32)
    for token, word in enumerate(words, FIRST_WORD):
        shape[token] = shape_of(token, word.decode())
    shapes = shape[stream]
    word_at = np.zeros(len(words) + 1, dtype=np.int32)
    np.cumsum([len(word) for word in words], out=word_at[1:])
    arrays: dict[str, Ints | bytes] = {
        "stream": stream,
        "order": sort_by_context(stream),
        "first": _first(stream, len(shape)),
    }
    arrays |= {"shape": shape, "shape_order": sort_by_context(shapes), "shape_first": _first(shapes, len(shape))}
    arrays |= {"table": _table(words), "word_at": word_at, "words": b"".join(words)}
    _write(target, collected.files, {name: bytes(data) for name, data in arrays.items()})
    return left_out


def _table(words: Sequence[bytes]) -> Ints:
    """A hash table, by CRC-32 with linear probing: a word's place → its number, -1 where free."""
    size = 2 * len(words) + 1
    table = [-1] * size
    for number, word in enumerate(words):
        slot = zlib.crc32(word) % size
        while table[slot] >= 0:
            slot = (slot + 1) % size
        table[slot] = number
    return np.array(table, dtype=np.int32)


def _first(stream: Ints, vocabulary: int) -> Ints:
    """Where each token's interval starts in the order; one more entry for the end."""
    first = np.zeros(vocabulary + 1, dtype=np.int32)
    np.cumsum(np.bincount(stream, minlength=vocabulary), out=first[1:])
    return first


def _write(target: Path, files: Sequence[LearnedFile], arrays: dict[str, bytes]) -> None:
    rows = [[file.path, file.content_hash, file.start, file.end] for file in files]
    places: dict[str, tuple[int, int]] = {}
    # The directory's length shifts the arrays, whose places it names: reserve room, then pad with spaces.
    room = len(json.dumps({"files": rows})) + 64 * (len(arrays) + 1)
    room += -(HEADER.size + room) % 8
    at = HEADER.size + room
    padded = []
    for name, data in arrays.items():
        places[name] = (at, len(data))
        filled = data + b"\0" * (-len(data) % 8)
        padded.append(filled)
        at += len(filled)
    directory = json.dumps({"files": rows, "arrays": places}).encode().ljust(room)
    checksum = zlib.crc32(directory)
    for data in padded:
        checksum = zlib.crc32(data, checksum)
    descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=".building-")  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(HEADER.pack(MAGIC, VERSION, checksum, len(directory)))
            file.write(directory)
            file.writelines(padded)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
