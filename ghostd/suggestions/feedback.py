"""What users do with a suggestion, seen from their text: editors do not always tell."""

from __future__ import annotations

from dataclasses import dataclass

from ghostd.suggestions.place import Place

_LEAST_CHARS = 8
"""A step of so many characters, up to the end of a line of the suggestion, is no typing."""
_RIGHT_SHARE = 0.8
"""Of a suggestion's text that the user has written as it says."""


@dataclass(slots=True)
class Shown:
    """The suggestion that an editor shows."""

    id: str
    place: Place
    text: str
    model: str
    claimed: float | None
    """What the model said of its confidence."""
    seen: int = 0
    """Characters of it that stand in the document."""
    taken: int = 0
    """Of them, those that came at once."""
    contradicted: bool = False
    """Whether the user has written something else."""

    def followed_to(self, place: Place) -> bool:
        """Look where the cursor is now; whether the user still follows it."""
        typed = place.typed_since(self.place)
        if typed is None or not self.text.startswith(typed):
            self.contradicted = typed is not None
            return False
        step = len(typed) - self.seen
        if step >= _LEAST_CHARS and self._ends_line(len(typed)):
            self.taken += step
        self.seen = len(typed)
        return self.seen < len(self.text)

    def grow(self, place: Place, text: str) -> None:
        """Its model has written more of it: `text` is what it says from this place on."""
        typed = place.typed_since(self.place)
        if typed is not None and len(typed + text) > len(self.text):
            self.text = typed + text

    @property
    def right(self) -> bool | None:
        """Whether it was what the user wrote, once they follow it no longer; None where they never wrote on."""
        if self.seen >= _RIGHT_SHARE * len(self.text):
            return True
        return False if self.contradicted else None

    @property
    def share(self) -> float:
        """How much of it was taken at once, 0 to 1."""
        return self.taken / max(len(self.text), 1)

    def _ends_line(self, at: int) -> bool:
        return at == len(self.text) or "\n" in self.text[at - 1 : at + 1]
