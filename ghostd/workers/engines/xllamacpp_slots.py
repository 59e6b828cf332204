"""Which of the server's slots a generation goes on in: its own choice would give a document's away."""

from __future__ import annotations

from dataclasses import dataclass, field

from ghostd.workers.engines.contract import Owner
from ghostd.workers.engines.prefix import common_prefix


@dataclass(slots=True, eq=False)
class Slot:
    """One slot, as far as is known here."""

    number: int
    owner: Owner = field(default_factory=Owner)
    tokens: list[int] = field(default_factory=list)
    """What was read and written there last."""
    busy: bool = False
    used: int = 0


class Slots:
    """All slots of one server."""

    def __init__(self, count: int) -> None:
        self._all = [Slot(number) for number in range(count)]
        self._uses = 0

    def take(self, owner: Owner, tokens: list[int]) -> Slot | None:
        """A free slot: a document's own, or that of the conversation that is continued, else an empty one, else the one
        that was used longest ago. None where all are busy."""
        free = [slot for slot in self._all if not slot.busy]
        if not free:
            return None
        slot = self._known(free, owner, tokens) or min(free, key=lambda each: (bool(each.tokens), each.used))
        slot.owner, slot.busy, slot.tokens = owner, True, tokens
        self._touch(slot)
        return slot

    def _known(self, free: list[Slot], owner: Owner, tokens: list[int]) -> Slot | None:
        if owner.document:
            return next((slot for slot in free if slot.owner == owner and slot.tokens), None)
        for slot in free:
            if slot.tokens and not slot.owner.document:
                most = min(len(slot.tokens), len(tokens))
                if 2 * common_prefix(slot.tokens, tokens, most) >= len(slot.tokens):
                    return slot
        return None

    def leave(self, slot: Slot, tokens: list[int]) -> None:
        """It is free again; these tokens are in it."""
        slot.busy, slot.tokens = False, tokens
        self._touch(slot)

    def _touch(self, slot: Slot) -> None:
        self._uses += 1
        slot.used = self._uses
