"""The two compressed blobs that hold what is known of one file.

`outline`: JSON of the definitions and imports. `uses`: the names, how often each is used, the start offsets, name by
name, and the lengths of the file's lines, from which a use's line follows. The numbers stand in four planes, one for
each of their bytes: that compresses better and faster than number after number. They are native-endian: the store is a
cache of this machine.
"""

from __future__ import annotations

import json
import struct
import zlib
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import accumulate, chain, repeat
from typing import Any

from ghostd.index.blobs import DamagedBlob, inflate

_LEVEL = 1
"""zlib's fastest: a third larger than its default on these blobs, at a quarter of the time."""
_HEADER = struct.Struct("=III")
"""Names, bytes of these, uses."""
_FIRST_BYTES = 1024
"""What most files' imports fit into."""
_ROW = json.JSONDecoder()
_ROW_LENGTH = 9


def encode_outline(symbols: list[Any], imports: list[Any]) -> bytes:
    """The blob for `decode_outline`."""
    from msgspec.json import encode  # late: a pass that finds nothing to parse does without

    # The imports first and on a line of their own, so that they can be read without the rest.
    return zlib.compress(b"\n".join((encode(imports), encode(symbols))), _LEVEL)


def decode_outline(blob: bytes) -> tuple[list[list[Any]], list[list[Any]]]:
    """Rows of symbols and of imports, as `parse` made them."""
    from msgspec.json import decode

    imports, _, symbols = inflate(blob).partition(b"\n")
    return decode(symbols), decode(imports)


def decode_imports(blob: bytes) -> list[list[Any]]:
    """The rows of imports, in a fraction of the time of `decode_outline`."""
    from msgspec.json import decode

    stream = zlib.decompressobj()
    try:
        text = stream.decompress(blob, _FIRST_BYTES)
        while b"\n" not in text and stream.unconsumed_tail:
            text += stream.decompress(stream.unconsumed_tail, len(text) * 4)
    except zlib.error as error:
        raise DamagedBlob(str(error)) from None
    if b"\n" not in text:
        raise DamagedBlob("its end is missing")
    rows: list[list[Any]] = decode(text.partition(b"\n")[0])
    return rows


def find_symbols(blob: bytes, names: Iterable[str]) -> dict[str, list[list[Any]]]:
    """The rows of the symbols of these names; a fraction of the time of `decode_outline` for a large file."""
    text = inflate(blob).decode("utf-8", "replace")
    return {name: list(_rows_of(text, name)) for name in names}


def _rows_of(text: str, name: str) -> Iterator[list[Any]]:
    start = f"[{json.dumps(name, ensure_ascii=False)},"
    position = text.find(start)
    while position >= 0:
        # No string holds this, as its quotes would be escaped; but an import's list of names may begin so.
        row, _ = _ROW.raw_decode(text, position)
        if len(row) == _ROW_LENGTH and isinstance(row[2], int):
            yield row
        position = text.find(start, position + 1)


def encode_uses(references: dict[bytes, list[int]], lines: list[bytes]) -> bytes:
    """The blob for `find_uses`; `lines` are the file's lines without their line feeds."""
    names = b"\n".join(references)
    numbers = array("I", map(len, references.values()))
    for found in references.values():
        numbers.extend(found)
    total = len(numbers) - len(references)
    numbers.extend(map(len, lines))
    data = numbers.tobytes()
    header = _HEADER.pack(len(references), len(names), total)
    return zlib.compress(b"".join((header, names, *(data[plane::4] for plane in range(4)))), _LEVEL)


def names_used(blob: bytes) -> list[bytes]:
    """Every name that the file uses."""
    body = inflate(blob)
    count, names_length, _ = _HEADER.unpack_from(body)
    return body[_HEADER.size : _HEADER.size + names_length].split(b"\n") if count else []


def find_uses(blob: bytes, name: bytes) -> Iterator[tuple[int, int]]:
    """(start, 1-based line) of each use of `name`, in source order."""
    names, counts, starts, line_starts = _decode_uses(blob)
    if name not in names:
        return
    index = names.index(name)
    before = sum(counts[:index])
    for start in starts[before : before + counts[index]]:
        yield start, bisect_right(line_starts, start)


def all_uses(blob: bytes) -> list[tuple[bytes, int, int, int]]:
    """(name, start, end, 1-based line) of every use, in source order."""
    names, counts, starts, line_starts = _decode_uses(blob)
    found = sorted(zip(starts, chain.from_iterable(map(repeat, names, counts)), strict=True))
    return [(name, start, start + len(name), bisect_right(line_starts, start)) for start, name in found]


def _decode_uses(blob: bytes) -> tuple[list[bytes], array[int], array[int], list[int]]:
    """The names, how often each is used, the starts, and where the lines start."""
    body = inflate(blob)
    count, names_length, total = _HEADER.unpack_from(body)
    if not count:
        return [], array("I"), array("I"), []
    position = _HEADER.size + names_length
    length = (len(body) - position) // 4
    data = bytearray(4 * length)
    for plane in range(4):
        data[plane::4] = body[position + plane * length : position + (plane + 1) * length]
    numbers = array("I", bytes(data))
    line_starts = list(accumulate((length + 1 for length in numbers[count + total :]), initial=0))
    return body[_HEADER.size : position].split(b"\n"), numbers[:count], numbers[count : count + total], line_starts


def name_crc(name: bytes) -> int:
    """The key of a name in the table `use`."""
    return zlib.crc32(name)
