"""Somebody who types a file: keys with their times, pauses, and wrong keys that are taken back; all seeded."""

from __future__ import annotations

import random
from collections.abc import Iterator
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


def keys(text: str, start: int, count: int, seed: int) -> Iterator[Key]:
    """So many keys from `start` on. A line break and the indentation after it are one key, as an editor types them."""
    rng = random.Random(seed)
    at = start

    def gap() -> float:
        return rng.uniform(*KEY_S) + (rng.uniform(*PAUSE_S) if rng.random() < PAUSE else 0.0)

    made = 0
    while made < count and at < len(text):
        if rng.random() < WRONG:
            wrong = rng.choice("qwertyuiop".replace(text[at], ""))
            yield Key(0, wrong, at, False, gap())
            yield Key(1, "", at, True, gap())
            made += 2
        end = at + 1
        if text[at] == "\n":
            while end < len(text) and text[end] in " \t":
                end += 1
        yield Key(0, text[at:end], end, True, gap())
        made += 1
        at = end
