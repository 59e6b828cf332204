"""What an edit changed, in tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from ghostd.next_edit.tokens import Token

_MAX_TOKENS = 600


@dataclass(frozen=True, slots=True)
class Change:
    """Tokens before[start:end] that became after[at:to]."""

    start: int
    end: int
    at: int
    to: int


def changes(before: Sequence[Token], after: Sequence[Token]) -> list[Change]:
    """Where two texts differ, in order; none where they are too long to be compared."""
    start, most = 0, min(len(before), len(after))
    while start < most and before[start].text == after[start].text:
        start += 1
    end = 0
    while end < most - start and before[-1 - end].text == after[-1 - end].text:
        end += 1
    old = [token.text for token in before[start : len(before) - end]]
    new = [token.text for token in after[start : len(after) - end]]
    if len(old) > _MAX_TOKENS or len(new) > _MAX_TOKENS:
        return []
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    return [
        Change(start + i1, start + i2, start + j1, start + j2)
        for tag, i1, i2, j1, j2 in matcher.get_opcodes()
        if tag != "equal"
    ]


def renamed(before: Sequence[Token], after: Sequence[Token], found: Sequence[Change]) -> dict[str, tuple[str, int]]:
    """Names of which each place became the same other name: old → (new, the index in `after` of the first place)."""
    pairs: dict[str, tuple[str, int]] = {}
    refuted: set[str] = set()
    for change in found:
        old, new = before[change.start : change.end], after[change.at : change.to]
        if len(old) != len(new):
            continue
        for offset, (one, other) in enumerate(zip(old, new, strict=True)):
            if one.text == other.text:
                continue
            if one.kind != "name" or other.kind != "name" or pairs.get(one.text, (other.text, 0))[0] != other.text:
                refuted.add(one.text)
                continue
            pairs.setdefault(one.text, (other.text, change.at + offset))
    return {old: new for old, new in pairs.items() if old not in refuted}
