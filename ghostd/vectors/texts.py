"""What is embedded of a file: each chunk below its path and the heads of what encloses it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b

from ghostd.indexed import Chunk, Symbol

TEXT_HASH_BYTES = 8
REDACTED = "[redacted]"


def texts_of(
    source: bytes,
    chunks: Sequence[Chunk],
    outline: Sequence[Symbol],
    max_chars: int,
    redact: Callable[[str], str] | None = None,
) -> list[str]:
    """The chunks' texts, in their order; `redact` gives a text without its secrets, None: they may stay."""
    lines = source.split(b"\n")
    offsets = [0]
    for line in lines:
        offsets.append(offsets[-1] + len(line) + 1)
    shown = [line.decode("utf-8", "replace") for line in lines]
    if redact is not None:
        shown = without_secrets_of_lines(shown, redact)
    found = []
    for chunk in chunks:
        begin = offsets[min(chunk.first_line - 1, len(lines))]
        body = "\n".join(shown[chunk.first_line - 1 : chunk.last_line])
        around = [one for one in outline if one.span.start < begin < one.span.end and one.signature]
        innermost = max(around, key=lambda one: one.span.start, default=None)
        head = f"{innermost.signature}\n" if innermost is not None else ""
        path = str(chunk.path).encode("utf-8", "replace").decode()
        found.append(f"{path}\n{head}{body}"[:max_chars])
    return found


def without_secrets_of_lines(lines: list[str], redact: Callable[[str], str]) -> list[str]:
    """As many lines, without the secrets; a secret may go over many lines, of which a chunk has only some."""
    text = "\n".join(lines)
    clean = redact(text)
    if clean == text:
        return lines
    kept = frozenset(clean.split("\n"))
    found = []
    for line in lines:
        if line not in kept:
            alone = redact(line)
            line = alone if alone != line else REDACTED  # noqa: PLW2901
        found.append(line)
    return found


def text_hash(text: str) -> bytes:
    """By which a text is known again."""
    return blake2b(text.encode("utf-8", "replace"), digest_size=TEXT_HASH_BYTES).digest()
