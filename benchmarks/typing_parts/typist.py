"""Somebody who types a file: keys with their times, pauses, and wrong keys that are taken back; all seeded."""

from __future__ import annotations

import random
from dataclasses import dataclass

KEY_S = (0.06, 0.15)
WRONG = 0.05
"""Share of keys that are wrong, and taken back after one more key's time."""
PAUSE = 0.03
"""Share of keys after which the typist thinks."""
PAUSE_S = (0.4, 1.5)


@dataclass(frozen=True, slots=True)
class Key:
    """What one key does to the text before the cursor, and the time until the next one."""

    delete: int
    """Characters taken away before the cursor."""
    insert: str
    typed: int
    """Characters of the file that stand before the cursor afterwards, as far as they are right."""
    right: bool
    """Whether the text before the cursor is the file's."""
    after_s: float
    accepts: bool = False
    """Whether it takes a suggestion, whose text `insert` is."""


class Typist:
    """Types `text` from `start` on. A line break and the indentation after it are one key, as an editor types them."""

    def __init__(self, text: str, start: int, seed: int) -> None:
        self._text, self._at = text, start
        self._rng = random.Random(seed)
        self._coming: list[Key] = []

    def key(self) -> Key | None:
        """The next one, None at the end of the text."""
        if not self._coming:
            self._plan()
        return self._coming.pop(0) if self._coming else None

    def accept(self, typed: int, text: str) -> Key:
        """Take this, which goes on as the text does behind what was typed, instead of the key that was to come."""
        self._coming.clear()
        self._at = typed + len(text)
        return Key(0, text, self._at, True, self._gap(), accepts=True)

    def _plan(self) -> None:
        at = self._at
        if at >= len(self._text):
            return
        if self._rng.random() < WRONG:
            wrong = self._rng.choice("qwertyuiop".replace(self._text[at], ""))
            self._coming += [Key(0, wrong, at, False, self._gap()), Key(1, "", at, True, self._gap())]
        end = at + 1
        if self._text[at] == "\n":
            while end < len(self._text) and self._text[end] in " \t":
                end += 1
        self._coming.append(Key(0, self._text[at:end], end, True, self._gap()))
        self._at = end

    def _gap(self) -> float:
        rng = self._rng
        return rng.uniform(*KEY_S) + (rng.uniform(*PAUSE_S) if rng.random() < PAUSE else 0.0)
