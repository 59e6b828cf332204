"""Whether what was shown fits the place that it was asked for."""

from __future__ import annotations

from dataclasses import dataclass

from typing_parts.model import Model
from typing_parts.replay import SOON_S, Replayed, Seen
from typing_parts.sources import Source

_BACK_CHARS = 400


@dataclass(slots=True)
class Judged:
    """Counts over keys."""

    keys: int = 0
    soon: int = 0
    """Keys with a valid answer within SOON_S."""
    on_screen: int = 0
    """Keys with something valid on an editor's screen within SOON_S."""
    suggested: int = 0
    """Answers that are not the rest of the suggestion before."""
    right: int = 0
    """Those of them whose first line is what the author writes next."""
    stale: int = 0
    typed: int = 0
    """Characters that the author got into the file."""
    accepted: int = 0
    """Those of them that came from suggestions."""
    starts: int = 0

    def add(self, other: Judged) -> None:
        """Count these, too."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


def judge(replayed: Replayed, model: Model) -> Judged:
    """Count. The model must still be the one that was asked."""
    found = Judged(keys=len(replayed.seen), starts=len(replayed.starts))
    for one in replayed.seen:
        found.accepted += len(one.key.insert) if one.key.accepts else 0
        on_screen = bool(one.screen)
        if one.answer:
            valid = _valid(one, model, replayed.source)
            soon = valid and one.took_s <= SOON_S
            if one.answer != one.screen:
                found.suggested += 1
                found.right += one.key.right and replayed.source.goes_on(one.key.typed, _first_line(one.answer))
            found.stale += not valid
            found.soon += soon
            on_screen = on_screen or soon
        found.on_screen += on_screen
    if replayed.seen:
        found.typed = replayed.seen[-1].key.typed - replayed.source.start
    return found


def _first_line(text: str) -> str:
    """Up to the end of the first line that is not blank."""
    blank = len(text) - len(text.lstrip("\n"))
    return text[: blank + len(text[blank:].partition("\n")[0])]


def _valid(one: Seen, model: Model, source: Source) -> bool:
    """Whether it is what the model says here, or the rest of what it said some keys ago, or what the file says."""
    if one.key.right and source.goes_on(one.key.typed, one.answer):
        return True
    before, text = one.before, one.answer
    for back in range(min(_BACK_CHARS, len(before))):
        at = len(before) - back
        typed = before[at:]
        said = model.reply(before[:at])
        if said.startswith(typed) and _says(model, before, said[len(typed) :], text):
            return True
    return False


def _says(model: Model, before: str, said: str, text: str) -> bool:
    """Whether the text is what was said, or begins so and goes on as the model does from there."""
    while said and not said.startswith(text):
        if not text.startswith(said):
            return False
        before, text = before + said, text[len(said) :]
        said = model.reply(before)
    return bool(said)
