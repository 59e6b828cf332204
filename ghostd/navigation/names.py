"""All names of one root in one piece of memory, and the few of them that fit a query."""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from ghostd.navigation.matching import Fit, fit

MAX_QUERY_CHARS = 200
"""No name is longer."""

_LOOKED_AT = 1000
_LOOKED_AT_IN_ALL = 2500
"""How many names are looked at that may fit in one way, and in one way or another; the rest of a large project's fits
such a query too vaguely to matter."""


_LETTERS = string.ascii_letters.encode() + b"\n" + bytes(range(0x80, 0x100))


@dataclass(frozen=True, slots=True)
class Names:
    """The names, a line each: a tenth of what a list of them takes, and searched at the speed of `memchr`."""

    lines: bytes
    """UTF-8, each name between two line feeds."""
    folded: bytes
    """The same in lower case, byte for byte at the same place."""
    separators: bytes = b""
    """What there is besides letters: a subword starts behind each."""

    @property
    def size_bytes(self) -> int:
        """What it takes."""
        return len(self.lines) + len(self.folded)

    def best(self, query: str, limit: int) -> list[tuple[Fit, str]]:
        """The names that fit best, the best first."""
        query = query[:MAX_QUERY_CHARS]
        typed = _folded(query)
        if not query or limit <= 0 or "\n" in query:
            return []
        looked_at: set[str] = set()
        found: list[tuple[Fit, str]] = []
        exact, beginning = b"\n" + typed + b"\n", b"\n" + typed
        for patterns in ([exact, beginning], _loosely(typed, self.separators)):
            for name in islice(chain.from_iterable(map(self._lines, patterns)), _LOOKED_AT_IN_ALL):
                if name not in looked_at and (fits := fit(query, name)) is not None:
                    found.append((fits, name))
                looked_at.add(name)
            if len(found) >= limit:
                break  # whatever else there is fits worse
        return sorted(found)[:limit]

    def _lines(self, pattern: bytes | re.Pattern[bytes]) -> Iterator[str]:
        """The names in which a pattern is found, letters in any case."""
        position = 0
        for _ in range(_LOOKED_AT):
            if isinstance(pattern, bytes):
                start = self.folded.find(pattern, position)
            else:
                match = pattern.search(self.lines, position)
                start = match.start() if match else -1
            if start < 0:
                return
            begin = self.folded.rfind(b"\n", 0, start + 1) + 1
            position = self.folded.find(b"\n", begin)
            yield self.lines[begin:position].decode()


def gather(names: Sequence[str]) -> Names:
    """The names in one piece."""
    lines = "\n".join(["", *names, ""]).encode("utf-8", "replace")
    folded = lines.lower() if lines.isascii() else b"\n".join([b"", *map(_folded, names), b""])
    return Names(lines, folded, bytes(set(lines.translate(None, _LETTERS))))


def _folded(name: str) -> bytes:
    """In lower case, as far as that takes the same number of bytes."""
    plain, lower = name.encode("utf-8", "replace"), name.lower().encode("utf-8", "replace")
    return lower if len(lower) == len(plain) else plain.lower()


def _loosely(typed: bytes, separators: bytes) -> list[bytes | re.Pattern[bytes]]:
    """What finds the names that may fit by their subwords, and those that have the query in them.

    Nothing in the expressions can be matched in two ways, so a search takes time in proportion to the names; and each
    begins with a letter of its own, which `re` looks for fast.
    """
    letters = [_either_case(letter) for letter in typed if letter != ord("_")]
    if len(letters) < 2:  # one letter is a part of nearly every name
        return []
    rest = b"".join(b"[^%b\\n]*+[%b]" % (letter, letter) for letter in letters[1:])
    first = re.escape(typed.lstrip(b"_")[:1])
    starts = [first]
    if first.isalpha():
        starts = [b"\\n_*+[%b]" % letters[0], first.upper()]
        if separators:
            starts.append(first + b"(?<=[%b].)" % re.escape(separators))
    first_of_all, *others = (re.compile(start + rest) for start in starts)
    return [first_of_all, typed, *others]


def _either_case(letter: int) -> bytes:
    """For a class of an expression."""
    plain = bytes([letter])
    return b"".join(map(re.escape, {plain, plain.upper()}))
