"""Texts within a budget of tokens."""

from __future__ import annotations

from collections.abc import Callable

TokenCounter = Callable[[str], int]

BYTES_PER_TOKEN = 4
"""What is assumed where no tokenizer is given."""
MIN_TOKENS = 64
MAX_TOKENS = 32_000


def estimate(text: str) -> int:
    """A text's tokens, at 4 bytes each, rounded up."""
    return -(-len(text.encode("utf-8", "replace")) // BYTES_PER_TOKEN)


def within(lines: list[str], max_tokens: int, count: TokenCounter) -> str:
    """The lines, without the last ones that the budget has no room for."""
    text = "\n".join(lines)
    while lines and count(text) > max_tokens:
        lines = lines[:-1]
        text = "\n".join(lines)
    return text
