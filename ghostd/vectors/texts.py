"""What is embedded of a file: each chunk below its path and the heads of what encloses it."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

from ghostd.indexed import Chunk, Symbol

TEXT_HASH_BYTES = 8


def texts_of(source: bytes, chunks: Sequence[Chunk], outline: Sequence[Symbol], max_chars: int) -> list[str]:
    """The chunks' texts, in their order."""
    lines = source.split(b"\n")
    offsets = [0]
    for line in lines:
        offsets.append(offsets[-1] + len(line) + 1)
    found = []
    for chunk in chunks:
        begin = offsets[min(chunk.first_line - 1, len(lines))]
        body = b"\n".join(lines[chunk.first_line - 1 : chunk.last_line]).decode("utf-8", "replace")
        around = [one for one in outline if one.span.start < begin < one.span.end and one.signature]
        innermost = max(around, key=lambda one: one.span.start, default=None)
        head = f"{innermost.signature}\n" if innermost is not None else ""
        path = str(chunk.path).encode("utf-8", "replace").decode()
        found.append(f"{path}\n{head}{body}"[:max_chars])
    return found


def text_hash(text: str) -> bytes:
    """By which a text is known again."""
    return blake2b(text.encode("utf-8", "replace"), digest_size=TEXT_HASH_BYTES).digest()
