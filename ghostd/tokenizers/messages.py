"""What the daemon and the process that holds the tokenizers say to each other, each a line of JSON."""

from __future__ import annotations

import msgspec


class Question(msgspec.Struct, omit_defaults=True):
    """One of: how many tokens do these texts have together, which are those of a text, what do these stand for."""

    vocabulary: str
    texts: list[str] | None = None
    text: str | None = None
    tokens: list[int] | None = None


class Reply(msgspec.Struct, omit_defaults=True):
    """The answer to it."""

    count: int = 0
    tokens: list[int] = []
    pieces: list[bytes] = []
    unknown: int | None = None
    """A token that the vocabulary does not have."""
