"""The raw contents of a GGUF file's header: keys, vocabulary, and whether all tensors are there.

The file may be hostile or cut short, so every count and length is checked against a limit and against the
file's size before anything is read or reserved for it. Format: ggml's `docs/gguf.md`, versions 2 and 3.
Standard library only.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

MAX_HEADER_BYTES = 256 * 1024 * 1024
MAX_KEYS = 16_384
MAX_TENSORS = 1_000_000
MAX_KEY_BYTES = 64 * 1024
MAX_STRING_BYTES = 4 * 1024 * 1024
MAX_ARRAY_ITEMS = 4 * 1024 * 1024
MAX_DIMENSIONS = 4
_FIRST_READ_BYTES = 256 * 1024

_SCALARS = {
    0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d",
}  # fmt: skip
_STRING, _ARRAY = 8, 9

# ggml type → (values in a block, bytes of a block); ggml.c's type_traits. A newer type is not checked for size.
_BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 36),
    10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292),
    16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18), 21: (256, 110), 22: (256, 82),
    23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8), 29: (256, 56), 30: (1, 2),
    34: (256, 54), 35: (256, 66), 39: (32, 17),
}  # fmt: skip

_VOCABULARY = "tokenizer.ggml.tokens"
_VOCABULARY_TYPES = "tokenizer.ggml.token_type"


class HeaderError(Exception):
    """The file is no usable GGUF; the message says why, without the path."""


@dataclass(slots=True)
class Keys:
    """The keys that matter, and the tokens of interest; everything else was checked and skipped."""

    values: dict[str, str | int | float | bool] = field(default_factory=dict)
    largest_items: dict[str, int] = field(default_factory=dict)
    """The largest item of small integer arrays: some models give heads per layer."""
    item_sums: dict[str, int] = field(default_factory=dict)
    """The sum of the same arrays' items."""
    tokens: list[bytes] = field(default_factory=list)
    token_types: list[int] = field(default_factory=list)
    tensor_count: int = 0
    parameters: int = 0
    """Values of all tensors."""


def read_keys(path: Path) -> tuple[Keys, int]:
    """The keys and the file's size. Blocks on the disk. Raises HeaderError, or OSError when it cannot be read."""
    with path.open("rb") as file:
        size = path.stat().st_size
        reader = _Reader(file, size)
        keys = _read_keys(reader)
        _check_whole(reader, keys, size)
    return keys, size


class _Reader:
    """Sequential reads that never go past the file or the header limit."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self._limit = min(size, MAX_HEADER_BYTES)
        self._size = size
        self._data = b""
        self.position = 0

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        start = self.position
        self._load(start + count)
        self.position += count
        return self._data[start : self.position]

    def number(self, form: str) -> int:
        """One little-endian number."""
        return int(struct.unpack(form, self.take(struct.calcsize(form)))[0])

    def string(self, limit: int = MAX_STRING_BYTES) -> bytes:
        """A length and that many bytes."""
        length = self.number("<Q")
        if length > limit:
            raise HeaderError(f"a string of {length} bytes in the header exceeds the limit of {limit}")
        return self.take(length)

    def strings(self, count: int, *, keep: bool) -> list[bytes]:
        """`count` strings, or none of them when they are only to be passed over.

        Spelled out for speed: a vocabulary with its merges has three hundred thousand.
        """
        unpack_from, kept = struct.Struct("<Q").unpack_from, []
        data, position = self._data, self.position
        for _ in range(count):
            start = position + 8
            if start > len(data):
                data = self._load(start)
            (length,) = unpack_from(data, position)
            if length > MAX_STRING_BYTES:
                raise HeaderError(f"a token of {length} bytes exceeds the limit of {MAX_STRING_BYTES}")
            position = start + length
            if position > len(data):
                data = self._load(position)
            if keep:
                kept.append(data[start:position])
        self.position = position
        return kept

    def _load(self, end: int) -> bytes:
        """Have the bytes up to `end` in memory."""
        if end > len(self._data):
            if end > self._limit:
                if self._limit < self._size:
                    raise HeaderError(f"the header is larger than {MAX_HEADER_BYTES} bytes")
                raise HeaderError(f"truncated: the header goes on after the file's end (it has {self._size} bytes)")
            wanted = min(max(end, 4 * len(self._data), _FIRST_READ_BYTES), self._limit)
            self._data += self._file.read(wanted - len(self._data))
            if len(self._data) < end:
                raise HeaderError("the file changed while it was read")
        return self._data


def _read_keys(reader: _Reader) -> Keys:
    if reader.take(4) != b"GGUF":
        raise HeaderError("not a GGUF file: it does not start with the bytes GGUF")
    version = reader.number("<I")
    if version not in (2, 3):
        raise HeaderError(f"GGUF version {version} is not known (versions 2 and 3 are; big-endian files are not)")
    keys = Keys(tensor_count=reader.number("<Q"))
    count = reader.number("<Q")
    if keys.tensor_count > MAX_TENSORS or count > MAX_KEYS:
        raise HeaderError(
            f"the header promises {keys.tensor_count} tensors and {count} keys; "
            f"the limits are {MAX_TENSORS} and {MAX_KEYS}"
        )
    for _ in range(count):
        name = reader.string(MAX_KEY_BYTES).decode("utf-8", "replace")
        _read_value(reader, name, reader.number("<I"), keys)
    return keys


def _read_value(reader: _Reader, name: str, kind: int, keys: Keys) -> None:
    if kind == _STRING:
        keys.values[name] = reader.string().decode("utf-8", "replace")
    elif kind == _ARRAY:
        _read_array(reader, name, keys)
    elif form := _SCALARS.get(kind):
        keys.values[name] = struct.unpack(form, reader.take(struct.calcsize(form)))[0]
    else:
        raise HeaderError(f"the key {name!r} has the unknown type {kind}")


def _read_array(reader: _Reader, name: str, keys: Keys) -> None:
    kind, count = reader.number("<I"), reader.number("<Q")
    if count > MAX_ARRAY_ITEMS:
        raise HeaderError(f"the array {name!r} has {count} items; the limit is {MAX_ARRAY_ITEMS}")
    if kind == _STRING:
        items = reader.strings(count, keep=name == _VOCABULARY)
        if name == _VOCABULARY:
            keys.tokens = items
    elif form := _SCALARS.get(kind):
        data = reader.take(struct.calcsize(form) * count)
        if name == _VOCABULARY_TYPES or (count <= 4096 and form in ("<I", "<i") and count):
            numbers = struct.unpack(f"<{count}{form[1]}", data)
            if name == _VOCABULARY_TYPES:
                keys.token_types = list(numbers)
            else:
                keys.largest_items[name] = max(numbers)
                keys.item_sums[name] = sum(numbers)
    else:
        raise HeaderError(f"the array {name!r} holds the type {kind}, which is not allowed there")


def _check_whole(reader: _Reader, keys: Keys, size: int) -> None:
    """The tensors' offsets must lie within the file."""
    alignment = keys.values.get("general.alignment", 32)
    if not isinstance(alignment, int) or not 1 <= alignment <= 1024 * 1024:
        raise HeaderError(f"the alignment {alignment!r} makes no sense")
    end = 0
    for _ in range(keys.tensor_count):
        reader.string(MAX_KEY_BYTES)
        dimensions = reader.number("<I")
        if dimensions > MAX_DIMENSIONS:
            raise HeaderError(f"a tensor has {dimensions} dimensions; the limit is {MAX_DIMENSIONS}")
        elements = 1
        for _ in range(dimensions):
            elements *= reader.number("<Q")
        keys.parameters += elements
        kind, offset = reader.number("<I"), reader.number("<Q")
        per_block, block_bytes = _BLOCKS.get(kind, (1, 0))
        end = max(end, offset + elements // per_block * block_bytes)
    data_start = -(-reader.position // alignment) * alignment
    if keys.tensor_count and data_start + end > size:
        raise HeaderError(f"truncated: the header promises {data_start + end} bytes, the file has {size}")
