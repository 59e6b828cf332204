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
