"""Answers that stay in the daemon's memory for as long as the head they are about."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

_MAX_ANSWERS = 1000


class Kept:
    """The last answers; those of a root go when its head moves."""

    def __init__(self) -> None:
        self._answers: OrderedDict[tuple[str, Hashable], Any] = OrderedDict()

    def get(self, root: str, question: Hashable) -> Any:
        """The answer; None where there is none."""
        found = self._answers.get((root, question))
        if found is not None:
            self._answers.move_to_end((root, question))
        return found

    def put(self, root: str, question: Hashable, answer: Any) -> None:
        """Keep it, and forget the one that was used least lately where there are too many."""
        self._answers[root, question] = answer
        if len(self._answers) > _MAX_ANSWERS:
            self._answers.popitem(last=False)

    def drop(self, root: str) -> None:
        """Forget all of a root."""
        for key in [key for key in self._answers if key[0] == root]:
            del self._answers[key]
