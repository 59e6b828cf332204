"""Where a suggestion belongs, by the text around the cursor: edits elsewhere change nothing."""

from __future__ import annotations

from dataclasses import dataclass

_BEFORE_CHARS = 2048
_ANCHOR_CHARS = 160
"""Text before a cursor that two places must share to be one after the other."""
_BELOW_CHARS = 120
_LOOKED_AT_CHARS = 2000
_CLOSERS = frozenset(")]}>'\"`")
_AUTO_CLOSED_CHARS = 4
"""Closing brackets and quotes that an editor puts behind the cursor by itself, at most."""
_OPENERS = {")": "(", "]": "[", "}": "{", ">": "<"}
_QUOTES = frozenset("'\"`")


@dataclass(frozen=True, slots=True)
class Place:
    """A cursor, as far as it decides whether a suggestion still fits."""

    before: str
    """The end of the text before it."""
    whole: bool
    """Whether that is all of it."""
    rest: str
    """The rest of its line."""
    below: str
    """The first line below that is not blank."""

    def typed_since(self, earlier: Place) -> str | None:
        """What has been typed on from an earlier place to come here; None where that cannot be said."""
        if self.below != earlier.below or not _same_rest(earlier.rest, self.rest):
            return None
        if earlier.whole and len(earlier.before) < _ANCHOR_CHARS:
            same = self.whole and self.before.startswith(earlier.before)
            return self.before[len(earlier.before) :] if same else None
        anchor = earlier.before[-_ANCHOR_CHARS:]
        found = self.before.rfind(anchor)
        return self.before[found + len(anchor) :] if found >= 0 else None

    def left_of(self, text: str, earlier: Place) -> str | None:
        """What of a text for an earlier place is still to be written here; None where it does not belong here."""
        typed = self.typed_since(earlier)
        if typed is None or not text.startswith(typed):
            return None
        added = self.rest[: len(self.rest) - len(earlier.rest)]
        return _without_closers(text[len(typed) :], added) if added else text[len(typed) :]

    def trimmed(self) -> Place:
        """As an earlier place of others it need not remember more than this."""
        if len(self.before) <= _ANCHOR_CHARS:
            return self
        return Place(self.before[-_ANCHOR_CHARS:], False, self.rest, self.below)

    def after(self, text: str) -> Place:
        """The place where the cursor stands once `text` has been inserted."""
        before = self.before + text
        return Place(before[-_BEFORE_CHARS:], self.whole and len(before) <= _BEFORE_CHARS, self.rest, self.below)


def place_at(prefix: str, suffix: str) -> Place:
    """The place between the two."""
    rest, _, below = suffix[:_LOOKED_AT_CHARS].partition("\n")
    line = next((one for one in below.split("\n") if one.strip()), "")
    return Place(prefix[-_BEFORE_CHARS:], len(prefix) <= _BEFORE_CHARS, rest, line[:_BELOW_CHARS])


def _same_rest(earlier: str, now: str) -> bool:
    """Whether the rest of the line is the same, but for brackets that the editor has closed by itself."""
    if earlier == now:
        return True
    added = len(now) - len(earlier)
    return 0 < added <= _AUTO_CLOSED_CHARS and now.endswith(earlier) and all(one in _CLOSERS for one in now[:added])


def _without_closers(text: str, added: str) -> str:
    """A text without the brackets and quotes that the editor has closed by itself behind it.

    Where it goes on behind them it ends before the first one: nothing can be inserted there.
    """
    first = _closes_at(text, added[0])
    if first is None:
        return text
    bare = text.rstrip()
    return bare[: len(bare) - len(added)] if bare.endswith(added) else text[:first]


def _closes_at(text: str, closer: str) -> int | None:
    """Where a text closes a bracket or string that it has not opened; None where it does not."""
    if closer in _QUOTES:
        return _end_of_string(text, 0, closer)
    depth = at = 0
    while at < len(text):
        if text[at] in _QUOTES:
            at = _end_of_string(text, at + 1, text[at]) or at  # itself: an apostrophe
        elif text[at] == _OPENERS[closer]:
            depth += 1
        elif text[at] == closer and not (closer == ">" and text[at - 1 : at] in ("-", "=")):
            if depth == 0:
                return at
            depth -= 1
        at += 1
    return None


def _end_of_string(text: str, start: int, quote: str) -> int | None:
    """Where the string that `start` is in ends; None where it does not."""
    at = start
    while at < len(text) and text[at] != quote:
        at += 2 if text[at] == "\\" else 1
    return at if at < len(text) else None
