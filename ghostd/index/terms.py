"""Identifiers and words → the terms that chunk search looks for: each as a whole, and by its parts.

Upper and lower case are the same. A term is known by its CRC-32 alone; two terms of one project that share it, at odds
of one in 70,000 for a project of 60,000 terms each, are taken for one.
"""

from __future__ import annotations

import re
import zlib
from array import array
from collections.abc import Mapping

MAX_WORD_BYTES = 100
"""Longer ones are data (base64, digests), not names."""
KEY_BYTES = 4
_MAX_REMEMBERED = 200_000
"""Words whose terms the worker remembers, at some 200 bytes each."""

WORDS = re.compile(rb"[A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*")
"""Identifiers, in code, comments and strings alike; any character beyond ASCII counts as a letter."""
_DIGITS = b"0123456789"
_ONLY_WORDS = bytes(
    byte if byte >= 0x80 or chr(byte).isalnum() or byte == ord("_") else ord("\n" if byte == ord("\n") else " ")
    for byte in range(256)
)
_STOP = frozenset(
    b"an and are as assert at be by class cls def elif else except false for from if import in is it none not of on or"
    b" pass raise return self that the this to true try we with".split()
)
"""Terms that stand nearly everywhere and are left out: a fifth of all postings; what is found stays within noise."""
_BORDER = re.compile(rb"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_PARTS = re.compile(rb"[a-z]+|[0-9]+")
_NOTHING = _STOP | {bytes((byte,)) for byte in range(256)}
_RUNS = re.compile(r"[^\W\d_]+|\d+")


def only_words(source: bytes) -> bytes:
    """The source with a space in place of each character that no word has: to split it takes less time than WORDS.

    What such a part holds besides a word is digits before it, which `TermKeys` passes over.
    """
    return source.translate(_ONLY_WORDS)


def terms_of(word: bytes) -> tuple[bytes, ...]:
    """The word and, when it has several, its parts; lower case, each once.

    "HTTPServerError2" has the parts "http", "server" and "error". What says nothing is left out: a
    single character, and the most frequent words.
    """
    lower = word.lower()
    if not word.isascii():
        terms = _beyond_ascii(word)
    elif lower.isalpha() and (lower == word or word.istitle() or word.isupper()):
        return () if lower in _NOTHING else (lower,)
    else:
        terms = [lower, *_PARTS.findall(lower if lower == word else _BORDER.sub(b" ", word).lower())]
    if len(terms) == 1:  # underscores only
        return ()
    return tuple([term for term in dict.fromkeys(terms) if term not in _NOTHING])


def _beyond_ascii(word: bytes) -> list[bytes]:
    """The same with the letters of all scripts; slower."""
    text = word.decode("utf-8", "replace")
    parts = [text]
    for run in _RUNS.findall(text):
        start = 0
        for end in range(1, len(run)):
            follows_lower = not run[end - 1].isupper() or run[end + 1 : end + 2].islower()
            if run[end].isupper() and follows_lower:
                parts.append(run[start:end])
                start = end
        parts.append(run[start:])
    return [part.lower().encode() for part in parts]


class TermKeys(dict[bytes, bytes]):
    """Word, or what is left of one by `only_words`, → the keys of its terms, remembered across files.

    The keys are numbers of KEY_BYTES each, native-endian, one after the other.
    """

    def __missing__(self, found: bytes) -> bytes:
        if len(self) >= _MAX_REMEMBERED:
            self.clear()
        word = found.lstrip(_DIGITS)
        keys = array("I", map(zlib.crc32, terms_of(word))).tobytes() if 0 < len(word) <= MAX_WORD_BYTES else b""
        if len(found) <= MAX_WORD_BYTES:  # longer ones are not seen twice
            self[found] = keys
        return keys


def weighted(words: Mapping[str, float]) -> dict[int, float]:
    """The keys of the terms in these words, each with the largest weight that it has in one of them."""
    found: dict[int, float] = {}
    for text, weight in words.items():
        for word in WORDS.findall(text.encode("utf-8", "replace")):
            if len(word) <= MAX_WORD_BYTES:
                for key in map(zlib.crc32, terms_of(word)):
                    if weight > found.get(key, 0.0):
                        found[key] = weight
    return found
