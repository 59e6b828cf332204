"""Token healing: a text that ends in the middle of a word ends in tokens that the model has never seen there.

The last ones are taken back, and written anew so that they spell the same and may go on. (S. Lundberg, "The Art of
Prompt Design: Prompt Boundaries and Token Healing", 2023.)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

MOST_TOKENS = 3
MOST_BYTES = 48
CANDIDATES = 512
"""Most probable tokens that are looked at."""


def taken_back(pieces: Sequence[bytes]) -> int:
    """How many tokens at the end to take back, by the bytes of the last ones; control tokens have none.

    Those of the word that the text ends in, with what its first token has before it; else a token of spaces or of
    punctuation. Nothing after a line break, where words begin anew, nor of other scripts than ASCII.
    """
    if not pieces or not _usable(pieces[-1]) or pieces[-1][-1:] in b"\r\n":
        return 0
    count = 1
    while (
        count < min(len(pieces), MOST_TOKENS)
        and _in_word(pieces[-count][0])
        and _usable(pieces[-count - 1])
        and _in_word(pieces[-count - 1][-1])
        and sum(map(len, pieces[-count - 1 :])) <= MOST_BYTES
    ):
        count += 1
    return count


def agrees(piece: bytes, left: bytes) -> bool:
    """Whether a token spells the beginning of what is left to spell, or all of it and goes on."""
    return bool(piece) and (piece.startswith(left) or left.startswith(piece))


def pick(ranked: Iterable[tuple[int, bytes]], left: bytes) -> int | None:
    """The first of these tokens that agrees; None if none does."""
    return next((token for token, piece in ranked if agrees(piece, left)), None)


def _usable(piece: bytes) -> bool:
    return 0 < len(piece) <= MOST_BYTES and piece.isascii()


def _in_word(byte: int) -> bool:
    return chr(byte).isalnum() or byte == ord("_")
