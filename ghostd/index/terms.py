"""Identifiers and words → the terms that chunk search looks for: each as a whole, and by its parts.

Upper and lower case are the same. A term is known by its CRC-32 alone; two terms of one project that share it, at odds
of one in 70,000 for a project of 60,000 terms each, are taken for one.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping

MAX_WORD_BYTES = 100
"""Longer ones are data (base64, digests), not names."""
_MAX_REMEMBERED = 200_000
"""Words whose terms the worker remembers, at some 200 bytes each."""

WORDS = re.compile(rb"[A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*")
"""Identifiers, in code, comments and strings alike; any character beyond ASCII counts as a letter."""
_PARTS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+|[^\x00-\x7f]+")


def terms_of(word: str) -> tuple[str, ...]:
    """The word and, when it has several, its parts; lower case, each once.

    "HTTPServerError2" has the parts "http", "server", "error" and "2". A single character says nothing and is left out.
    """
    whole = word.lower()
    parts = (part.lower() for part in _PARTS.findall(word)) if whole != word or not word.isalpha() else ()
    return tuple(dict.fromkeys(term for term in (whole, *parts) if len(term) > 1 and term.strip("_")))


def term_key(term: str) -> int:
    """How a term is known in the index."""
    return zlib.crc32(term.encode("utf-8", "replace"))


class TermKeys(dict[bytes, tuple[int, ...]]):
    """Word → the keys of its terms, remembered across files."""

    def __missing__(self, word: bytes) -> tuple[int, ...]:
        if len(self) >= _MAX_REMEMBERED:
            self.clear()
        keys = () if len(word) > MAX_WORD_BYTES else tuple(map(term_key, terms_of(word.decode("utf-8", "replace"))))
        self[word] = keys
        return keys


def weighted(words: Mapping[str, float]) -> dict[int, float]:
    """The keys of the terms in these words, each with the largest weight that it has in one of them."""
    found: dict[int, float] = {}
    for word, weight in words.items():
        for term in _in_query(word):
            key = term_key(term)
            if weight > found.get(key, 0.0):
                found[key] = weight
    return found


def _in_query(text: str) -> Iterator[str]:
    for word in WORDS.findall(text.encode("utf-8", "replace")):
        if len(word) <= MAX_WORD_BYTES:
            yield from terms_of(word.decode("utf-8", "replace"))
