"""What is remembered of one open document: its suggestions, its running generations, its user's rhythm."""

from __future__ import annotations

from dataclasses import dataclass, field

from ghostd.suggestions.feedback import Shown
from ghostd.suggestions.generation import Generation
from ghostd.suggestions.kept import Kept, KeptSuggestions
from ghostd.suggestions.place import Place
from ghostd.suggestions.rest import Rest
from ghostd.suggestions.tempo import Rhythm

KEPT = 32
"""Suggestions of one document that are kept."""


@dataclass(slots=True)
class DocumentState:
    """Of one session's document."""

    kept: KeptSuggestions = field(default_factory=lambda: KeptSuggestions(KEPT))
    running: dict[str, Generation] = field(default_factory=dict)
    """By model."""
    ahead: tuple[Generation, Kept] | None = None
    """What is prepared for the case that a suggestion is accepted, and that suggestion."""
    rhythm: Rhythm = field(default_factory=Rhythm)
    shown: Shown | None = None
    """What the editor shows."""
    rest: Rest = field(default_factory=Rest)

    def settle(self, place: Place) -> None:
        """The cursor is here now: stop at once what can no longer be shown."""
        for model, generation in list(self.running.items()):
            if generation.done or not generation.agrees(place):
                if generation.tentative and generation.asked and not generation.raw:
                    self.rhythm.mistaken()
                generation.stop()
                del self.running[model]
        if self.ahead is not None:
            generation, parent = self.ahead
            if parent.rest_at(place) is None and not generation.agrees(place):
                generation.stop()
                self.ahead = None

    def stop(self) -> None:
        """End all that runs."""
        self.rest.stop()
        for generation in self.running.values():
            generation.stop()
        self.running.clear()
        if self.ahead is not None:
            self.ahead[0].stop()
            self.ahead = None
