"""Which part of a file a fill prompt quotes: a window around the cursor that moves seldom.

A window whose start followed the cursor would change the prompt's first token at each line, and a model would
have to read all of it again. So its start moves in steps of `ANCHOR_LINES`.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from ghostd.types import OpenDocument

ANCHOR_LINES = 64

CHARS_PER_TOKEN = 2.5
"""Low on purpose: code tokenizes to 2.5–4 characters a token, and a window that is too long costs a retry."""

_PREFIX_SHARE = 0.75
_MARKER_CHARS = 10


def window(prefix: str, suffix: str, budget_tokens: int) -> tuple[str, str]:
    """The end of `prefix` and the start of `suffix` that fit into about `budget_tokens` together.

    What one side does not need goes to the other. Cuts fall on line starts, the prefix's on a multiple of
    ANCHOR_LINES lines of the file where that leaves it at least half of its share.
    """
    chars = max(int(budget_tokens * CHARS_PER_TOKEN), 64)
    if len(prefix) + len(suffix) <= chars:
        return prefix, suffix
    for_suffix = min(len(suffix), max(int(chars * (1 - _PREFIX_SHARE)), chars - len(prefix)))
    for_prefix = chars - for_suffix
    return _end_of(prefix, for_prefix), start_of(suffix, for_suffix)


def quotable(documents: Sequence[OpenDocument], prefix: str, suffix: str, budget_tokens: int) -> list[tuple[str, str]]:
    """The documents, by name, that fit beside the window of a file; the first ones count most and stand last."""
    left = int(budget_tokens * CHARS_PER_TOKEN) - len(prefix) - len(suffix)
    taken: list[tuple[str, str]] = []
    for document in documents:
        left -= len(document.path.name) + len(document.text) + _MARKER_CHARS
        if left < 0:
            break
        taken.append((document.path.name, document.text))
    return taken[::-1]


def fitting(pieces: Sequence[tuple[str, str]], budget_tokens: int) -> list[tuple[str, str]]:
    """The last of these (name, text) that fit into about `budget_tokens` together, in their order."""
    taken: list[tuple[str, str]] = []
    for piece in reversed(pieces):
        if tokens_of_pieces([*taken, piece]) > budget_tokens:
            break
        taken.append(piece)
    return taken[::-1]


def tokens_of_pieces(pieces: Sequence[tuple[str, str]]) -> int:
    """About how many tokens these (name, text) take, rounded up."""
    chars = sum(len(name) + len(text) + _MARKER_CHARS for name, text in pieces)
    return ceil(chars / CHARS_PER_TOKEN)


def start_of(text: str, chars: int) -> str:
    """The whole lines that its first `chars` characters hold; those characters where they hold none."""
    if len(text) <= chars:
        return text
    cut = text.rfind("\n", 0, chars)
    return text[: cut + 1] if cut > 0 else text[:chars]


def last_lines(text: str, chars: int) -> str:
    """The whole lines that its last `chars` characters hold; those characters where they hold none."""
    if len(text) <= chars:
        return text
    start = text.find("\n", len(text) - chars - 1) + 1
    return text[len(text) - chars :] if start in (0, len(text)) else text[start:]


def _end_of(text: str, chars: int) -> str:
    lines = last_lines(text, chars)
    start = len(text) - len(lines)
    if start == 0 or text[start - 1] != "\n":
        return lines
    line = text.count("\n", 0, start)
    for _ in range(-line % ANCHOR_LINES):
        following = text.find("\n", start) + 1
        if following == 0 or len(text) - following < chars // 2:
            break
        start = following
    return text[start:]
