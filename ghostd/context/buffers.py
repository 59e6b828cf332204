"""Pieces of open buffers: the index may not have seen them yet."""

from __future__ import annotations

from ghostd.context.query import Query
from ghostd.context.texts import Piece, piece_of

LINES = 16
MAX_CHARS = 200_000
"""Of one buffer."""
MAX_PIECES = 4
"""Of one buffer: the ones that share most with the place."""


def pieces_of_buffer(text: str, query: Query) -> list[tuple[int, int, Piece]]:
    """(first line, last line, piece) of the parts of a buffer that share words with the query, the best first."""
    lines = text[:MAX_CHARS].split("\n")
    found: list[tuple[float, int, int, Piece]] = []
    start = 0
    while start < len(lines):
        end = _end(lines, start)
        piece = piece_of(lines[start:end])
        if piece is not None:
            shared = sum(query.words[name] for name in piece.names & query.words.keys())
            if shared:
                found.append((shared / (5 + len(piece.names)), start + 1, end, piece))
        start = end
    found.sort(key=lambda row: (-row[0], row[1]))
    return [row[1:] for row in found[:MAX_PIECES]]


def plain(text: str) -> str:
    """The text with neither indentation nor blank lines: whether a piece still stands in it."""
    lines = (line.strip() for line in text.split("\n"))
    return "\n".join(["", *(line for line in lines if line), ""])


def _end(lines: list[str], start: int) -> int:
    """Where a part ends: at the last blank line within LINES that something at the margin follows, if there is one."""
    last = min(start + LINES, len(lines))
    if last == len(lines):
        return last
    for place in range(last, start + LINES // 2, -1):
        if not lines[place - 1].strip() and lines[place][:1].strip():
            return place
    return last
