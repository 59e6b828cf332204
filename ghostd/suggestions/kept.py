"""The suggestions of one document that may still be shown: a look-up costs microseconds and asks no model.

It answers repeats, what was typed on into a suggestion (also over lines), accepted words and lines, and deletions back
to where a suggestion began.
"""

from __future__ import annotations

from dataclasses import dataclass

from ghostd.suggestions.place import Place


@dataclass(slots=True)
class Kept:
    """A suggestion, or that a model has nothing to say here."""

    id: str
    """Of the request that made it, as the ledger calls it."""
    place: Place
    text: str
    """"" for nothing."""
    model: str
    rank: int
    """Of its model: a higher one's suggestions are preferred."""
    confidence: float | None
    prepared: bool = False
    """Whether it was made before anybody asked."""
    followed: bool = False
    """Whether what may follow it has been asked for."""

    def rest_at(self, place: Place) -> str | None:
        """What of it is still to be written at a place; None where it does not fit, or nothing is left."""
        rest = place.left_of(self.text, self.place)
        return rest if rest is not None and rest.strip() else None


class KeptSuggestions:
    """Bounded: the one that was used longest ago goes first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._found: list[Kept] = []
        """Least recently used first."""
        self._nothing: list[Kept] = []
        self._refused: list[Kept] = []

    def add(self, kept: Kept) -> None:
        """Keep it from now on."""
        found = self._found if kept.text.strip() and not self.refused(kept.place, kept.text) else self._nothing
        found.append(kept)
        if len(found) > self._most:
            del found[0]

    def find(self, place: Place) -> tuple[Kept, str] | None:
        """The best that fits, with what is left of it: of the best model, then the latest."""
        best: tuple[Kept, str] | None = None
        for kept in reversed(self._found):
            if best is not None and kept.rank <= best[0].rank:
                continue
            rest = kept.rest_at(place)
            if rest is not None and not self.refused(place, rest):
                best = kept, rest
        if best is not None:
            self._found.remove(best[0])
            self._found.append(best[0])
        return best

    def nothing_at(self, place: Place, model: str) -> bool:
        """Whether this model is known to have nothing to say at exactly this place."""
        return any(
            kept.model == model and kept.place.rest == place.rest and place.typed_since(kept.place) == ""
            for kept in self._nothing
        )

    def refuse(self, suggestion_id: str) -> None:
        """The user has refused it: its text is not shown there again, whoever writes it."""
        self._refused += [kept for kept in self._found if kept.id == suggestion_id]
        del self._refused[: -self._most]
        self._found = [kept for kept in self._found if kept.id != suggestion_id]

    def refused(self, place: Place, text: str) -> bool:
        """Whether the user has refused this text here, or the whole whose rest it is."""
        return any(kept.rest_at(place) == text for kept in self._refused)
