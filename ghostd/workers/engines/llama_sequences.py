"""The prompts that a context of llama.cpp keeps: several sequences over one cache, whose cells they share."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from ghostd.workers.engines.contract import Owner
from ghostd.workers.engines.prefix import common_prefix

Found = TypeVar("Found")


class Holder(Protocol):
    """A generation that reads into a sequence."""

    sequence: KvSequence | None
    """Taken away when others need it; then it has to read again."""
    tokens: list[int]
    warming: bool
    """Whether it only reads: what it has read is anybody's."""


class Saved(Protocol[Found]):
    """Prompts of earlier processes; see llama_saved.SavedPrompts."""

    def find(self, tokens: Sequence[int], limit: int, known: int) -> Found | None:
        """See there."""
        ...

    def put(self, found: Found, sequence: int, make_room: Callable[[], bool]) -> list[int]:
        """See there."""
        ...


@dataclass(slots=True, eq=False)
class KvSequence:
    """One of llama.cpp's sequences."""

    number: int
    cached: list[int] = field(default_factory=list)
    """Tokens whose keys and values are computed."""
    owner: Owner = field(default_factory=Owner)
    holder: Holder | None = None
    used: int = 0
    """When it was used last, by the count of uses."""

    @property
    def idle(self) -> bool:
        """Whether no generation is in need of it."""
        return self.holder is None or self.holder.warming


class KvSequences:
    """All sequences of one context."""

    def __init__(self, lib: Any, context: int, count: int, *, recurrent: bool) -> None:
        """`recurrent`: the model keeps a state that cannot go back, only be used where it stands."""
        self._lib = lib
        self._memory = lib.llama_get_memory(context)
        self._recurrent = recurrent
        self.uses = 0
        """How often any of them was."""
        self.all = [KvSequence(number) for number in range(count)]
        self.saved: Saved[Any] | None = None

    def take(self, holder: Holder, owner: Owner, group: Collection[Holder]) -> KvSequence:
        """A sequence for this generation, with as much of its tokens as any sequence has cached.

        A document goes on in its own sequence, a conversation in the one that it continues; others take one that is
        empty, else the one that was idle longest, else one of a generation outside `group`. A beginning that another
        sequence has is shared: its cells are counted once.
        """
        limit = len(holder.tokens) - (0 if holder.warming else 1)  # the last one is computed for its logits
        shared = {sequence.number: self._common(sequence.cached, holder.tokens, limit) for sequence in self.all}
        source = max(self.all, key=lambda sequence: shared[sequence.number])
        target = self._target(owner, source, shared[source.number], group, shared)
        if target.holder is not None:
            target.holder.sequence = None
        if self._bring_back(target, holder.tokens, limit, shared[source.number], group):
            pass
        elif shared[source.number] > shared[target.number]:
            self.truncate(target, 0)
            self._lib.llama_memory_seq_cp(self._memory, source.number, target.number, 0, shared[source.number])
            target.cached = source.cached[: shared[source.number]]
        else:
            self.truncate(target, shared[target.number])
        target.owner, target.holder = owner, holder
        self.touch(target)
        return target

    def _target(
        self, owner: Owner, source: KvSequence, most: int, group: Collection[Holder], shared: dict[int, int]
    ) -> KvSequence:
        others = [sequence for sequence in self.all if not any(sequence.holder is one for one in group)]
        idle = sorted((sequence for sequence in others if sequence.idle), key=lambda sequence: sequence.used)
        if owner.document:
            own = [sequence for sequence in idle if sequence.owner == owner and sequence.cached]
            if own:
                return max(own, key=lambda sequence: shared[sequence.number])
        elif source in idle and not source.owner.document and 2 * most >= len(source.cached) > 0:
            return source
        for sequence in idle:
            if not sequence.cached:
                return sequence
        return idle[0] if idle else min(others, key=lambda sequence: sequence.used)

    def _bring_back(
        self, target: KvSequence, tokens: list[int], limit: int, known: int, group: Collection[Holder]
    ) -> bool:
        """Whether a saved prompt has clearly more of the tokens than the `known` ones, and is in `target` now."""
        if self.saved is None or (found := self.saved.find(tokens, limit, known)) is None:
            return False
        self.truncate(target, 0)
        target.cached = self.saved.put(found, target.number, lambda: self.make_room(group))
        if target.cached:
            self.truncate(target, common_prefix(target.cached, tokens, min(len(target.cached), limit)))
            if not target.cached:  # this model's cache cannot go back
                self.saved = None
        return bool(target.cached)

    def release(self, sequence: KvSequence) -> None:
        """Its generation is over; what is cached stays."""
        sequence.holder = None
        self.touch(sequence)

    def touch(self, sequence: KvSequence) -> None:
        """It is used now."""
        self.uses += 1
        sequence.used = self.uses

    def truncate(self, sequence: KvSequence, length: int) -> None:
        """Keep the first `length` tokens, and drop what llama.cpp holds of others. Where the model cannot go back,
        nothing is kept."""
        if not self._lib.llama_memory_seq_rm(self._memory, sequence.number, length, -1):
            self._lib.llama_memory_seq_rm(self._memory, sequence.number, -1, -1)
            length = 0
        del sequence.cached[length:]

    def make_room(self, group: Collection[Holder]) -> bool:
        """Drop a sequence that none of `group` reads into: an idle one, else the one that has stood still longest.

        False where there is none.
        """
        others = [
            sequence for sequence in self.all if sequence.cached and not any(sequence.holder is one for one in group)
        ]
        if not others:
            return False
        victim = min(others, key=lambda sequence: (not sequence.idle, sequence.used))
        self.truncate(victim, 0)
        return True

    def _common(self, cached: Sequence[int], tokens: Sequence[int], limit: int) -> int:
        """How many of the first tokens are cached, and can be used from there on."""
        most = min(len(cached), limit)
        if self._recurrent:
            return len(cached) if len(cached) == most and cached == tokens[:most] else 0
        return common_prefix(cached, tokens, most)
