"""What a local model's tokens are drafted from: the project model's guess, the file itself, and what resembles it."""

from __future__ import annotations

from collections.abc import Sequence

from ghostd.types import DraftSources, FillRequest

_BLOCK_LINES = 64
_BLOCK_CHARS = 16 * 1024
"""Of a block; longer ones are no code."""
_TEXTS_CHARS = 64 * 1024
"""Of all texts together."""
_CUT_CHARS = 16 * 1024
"""A longer file is cut at a multiple of these, so that it begins alike from key to key."""
_DOCUMENTS = 4


def draft_sources(request: FillRequest, expected: str, quoted: Sequence[tuple[str, str]]) -> DraftSources:
    """Blocks of the open documents, of what the index found, and of the file, nearest last.

    Blocks end at multiples of _BLOCK_LINES lines, so that most of them are the same at the next key, and a worker that
    has read them finds them read.
    """
    texts = [text for document in reversed(request.open_documents[:_DOCUMENTS]) for text in _blocks(document.text)]
    texts += [text for _, text in quoted]
    texts += reversed(_blocks(request.suffix, from_end=True))
    texts += _blocks(_end_of(request.prefix))[:-1]  # the lines above the cursor are in the prompt
    kept: list[str] = []
    left = _TEXTS_CHARS
    for text in reversed(texts):
        left -= len(text)
        if left < 0:
            break
        kept.append(text)
    return DraftSources(expected, tuple(reversed(kept)))


def _end_of(text: str) -> str:
    return text[max(len(text) - _TEXTS_CHARS, 0) // _CUT_CHARS * _CUT_CHARS :]


def _blocks(text: str, *, from_end: bool = False) -> list[str]:
    if not text:
        return []
    if from_end:
        text = text[:_TEXTS_CHARS]
    lines = text.splitlines(keepends=True)
    first = len(lines) % _BLOCK_LINES if from_end else 0
    starts = ([0] if first else []) + list(range(first, len(lines), _BLOCK_LINES))
    ends = [*starts[1:], len(lines)]
    blocks = ("".join(lines[start:end]) for start, end in zip(starts, ends, strict=True))
    return [block for block in blocks if len(block) <= _BLOCK_CHARS]
