"""The two compressed blobs that hold what is known of one file.

`outline`: JSON of the definitions and imports. `uses`: the names, each name's start offsets, and the lengths of the
file's lines, from which a use's line follows. Both are native-endian: the store is a cache of this machine.
"""

from __future__ import annotations

import json
import struct
import zlib
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate, chain, repeat
from typing import Any

_LEVEL = 1
"""zlib's fastest: a third larger than its default on these blobs, at a quarter of the time."""
_HEADER = struct.Struct("=IIIc")
_FIRST_BYTES = 1024
"""What most files' imports fit into."""
_ROW = json.JSONDecoder()
_ROW_LENGTH = 9


def encode_outline(symbols: list[Any], imports: list[Any]) -> bytes:
    """The blob for `decode_outline`."""
    # The imports first and on a line of their own, so that they can be read without the rest.
    text = "\n".join(json.dumps(part, ensure_ascii=False, separators=(",", ":")) for part in (imports, symbols))
    return zlib.compress(text.encode("utf-8", "replace"), _LEVEL)


def decode_outline(blob: bytes) -> tuple[list[list[Any]], list[list[Any]]]:
    """Rows of symbols and of imports, as `parse` made them."""
    imports, _, symbols = zlib.decompress(blob).partition(b"\n")
    return json.loads(symbols), json.loads(imports)


def decode_imports(blob: bytes) -> list[list[Any]]:
    """The rows of imports, in a fraction of the time of `decode_outline`."""
    stream = zlib.decompressobj()
    text = stream.decompress(blob, _FIRST_BYTES)
    while b"\n" not in text and stream.unconsumed_tail:
        text += stream.decompress(stream.unconsumed_tail, len(text) * 4)
    rows: list[list[Any]] = json.loads(text.partition(b"\n")[0])
    return rows


def find_symbols(blob: bytes, name: str) -> list[list[Any]]:
    """The rows of the symbols of one name; a fraction of the time of `decode_outline` for a large file."""
    text = zlib.decompress(blob).decode("utf-8", "replace")
    start = f"[{json.dumps(name, ensure_ascii=False)},"
    found = []
    position = text.find(start)
    while position >= 0:
        # No string holds this, as its quotes would be escaped; but an import's list of names may begin so.
        row, _ = _ROW.raw_decode(text, position)
        if len(row) == _ROW_LENGTH and isinstance(row[2], int):
            found.append(row)
        position = text.find(start, position + 1)
    return found


def encode_uses(references: dict[bytes, list[int]], lines: list[bytes]) -> bytes:
    """The blob for `find_uses`; `lines` are the file's lines without their line feeds."""
    names = b"\n".join(references)
    counts = array("I", map(len, references.values()))
    starts = array("I")
    for found in references.values():
        starts.extend(found)
    lengths = [len(line) for line in lines]
    code = "H" if max(lengths, default=0) < 65536 else "I"
    header = _HEADER.pack(len(references), len(names), len(starts), code.encode())
    body = b"".join((header, names, counts.tobytes(), starts.tobytes(), array(code, lengths).tobytes()))
    return zlib.compress(body, _LEVEL)


def names_used(blob: bytes) -> list[bytes]:
    """Every name that the file uses."""
    body = zlib.decompress(blob)
    count, names_length, _, _ = _HEADER.unpack_from(body)
    return body[_HEADER.size : _HEADER.size + names_length].split(b"\n") if count else []


def find_uses(blob: bytes, name: bytes) -> Iterator[tuple[int, int]]:
    """(start, 1-based line) of each use of `name`, in source order."""
    body = zlib.decompress(blob)
    count, names_length, total, code = _HEADER.unpack_from(body)
    position = _HEADER.size + names_length
    names = body[_HEADER.size : position].split(b"\n")
    if not count or name not in names:
        return
    index = names.index(name)
    counts = array("I", body[position : position + 4 * count])
    position += 4 * count
    before = sum(counts[:index])
    starts = array("I", body[position + 4 * before : position + 4 * (before + counts[index])])
    lengths = array(code.decode(), body[position + 4 * total :])
    line_starts = list(accumulate((length + 1 for length in lengths), initial=0))
    for start in starts:
        yield start, bisect_right(line_starts, start)


def all_uses(blob: bytes) -> list[tuple[bytes, int, int, int]]:
    """(name, start, end, 1-based line) of every use, in source order."""
    body = zlib.decompress(blob)
    count, names_length, total, code = _HEADER.unpack_from(body)
    if not count:
        return []
    position = _HEADER.size + names_length
    names = body[_HEADER.size : position].split(b"\n")
    counts = array("I", body[position : position + 4 * count])
    position += 4 * count
    starts = array("I", body[position : position + 4 * total])
    lengths = array(code.decode(), body[position + 4 * total :])
    line_starts = list(accumulate((length + 1 for length in lengths), initial=0))
    found = sorted(zip(starts, chain.from_iterable(map(repeat, names, counts)), strict=True))
    return [(name, start, start + len(name), bisect_right(line_starts, start)) for start, name in found]


def name_crc(name: bytes) -> int:
    """The key of a name in the table `use`."""
    return zlib.crc32(name)
