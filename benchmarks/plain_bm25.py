"""Okapi BM25 as it stands in textbooks, as a peer of ghostd's retrieval: chunks of 40 lines, words and their parts."""

from __future__ import annotations

import math
import re
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import PurePosixPath

from ghostd.context.evaluate import HiddenLine
from ghostd.context.selection import tokens_of
from ghostd.context.texts import piece_of

K1 = 1.2
B = 0.75
CHUNK_LINES = 40
QUERY_LINES = 10
_WORDS = re.compile(r"\w+")
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


def terms_of(text: str) -> list[str]:
    """Each word, and its parts by camelCase and snake_case where it has several; lower case."""
    found = []
    for word in _WORDS.findall(text):
        parts = _PARTS.findall(word)
        found.append(word.lower())
        if len(parts) > 1:
            found += [part.lower() for part in parts]
    return found


class PlainBm25:
    """Over some files' texts."""

    def __init__(self, texts: Iterable[tuple[PurePosixPath, str]]) -> None:
        self._paths: list[PurePosixPath] = []
        self._texts: list[str] = []
        self._postings: defaultdict[str, array[int]] = defaultdict(lambda: array("I"))
        """Term → chunk, how often, chunk, how often, …"""
        lengths: list[int] = []
        for path, text in texts:
            lines = text.split("\n")
            for start in range(0, len(lines), CHUNK_LINES):
                part = lines[start : start + CHUNK_LINES]
                counts = Counter(terms_of("\n".join(part)))
                piece = piece_of(part)
                if not counts or piece is None:
                    continue
                for term, count in counts.items():
                    self._postings[term].extend((len(lengths), count))
                lengths.append(counts.total())
                self._paths.append(path)
                self._texts.append(piece.text)
        average = sum(lengths) / max(len(lengths), 1)
        self._norms = [K1 * (1 - B + B * length / average) for length in lengths]

    async def quote(self, hidden: HiddenLine, budget_tokens: int) -> str:
        """The best chunks of other files that fit, for the ten lines before the hidden one."""
        query = "\n".join(hidden.prefix.split("\n")[-1 - QUERY_LINES : -1])
        scores: defaultdict[int, float] = defaultdict(float)
        for term in set(terms_of(query)):
            postings = self._postings.get(term)
            if postings is None:
                continue
            frequency = len(postings) // 2
            idf = math.log(1 + (len(self._norms) - frequency + 0.5) / (frequency + 0.5))
            for place in range(0, len(postings), 2):
                chunk, count = postings[place], postings[place + 1]
                scores[chunk] += idf * count * (K1 + 1) / (count + self._norms[chunk])
        left, taken = budget_tokens, []
        for chunk in sorted(scores, key=lambda chunk: (-scores[chunk], chunk)):
            if left < 20:
                break
            tokens = tokens_of(self._texts[chunk])
            if self._paths[chunk] != hidden.path and tokens <= left:
                left -= tokens
                taken.append(self._texts[chunk])
        return "\n".join(taken)
