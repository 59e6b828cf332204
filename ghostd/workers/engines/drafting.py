"""What one model drafts its tokens by, whichever request they are for."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

from ghostd.workers.drafts import Costs, Drafts, Policy, joined, packed

_KEPT_CHARS = 512 * 1024
"""Of reference texts whose tokens are kept: a text comes again with the next key."""


class Drafting:
    """One model's; a generation takes its drafts from here and says what became of them."""

    def __init__(self, tokenize: Callable[[str], list[int]], most: int) -> None:
        """`most`: tokens of a draft."""
        self._tokenize = tokenize
        self.costs = Costs()
        self.policy = Policy(self.costs, most)
        self._packed: OrderedDict[str, bytes] = OrderedDict()
        self._chars = 0

    def drafts(self, prompt: Sequence[int], expected: str, references: Sequence[str]) -> Drafts:
        """For one generation; `references`: the most valuable last."""
        found = Drafts(joined(map(self._tokens_of, references)), self._tokenize(expected) if expected else ())
        found.start(prompt)
        return found

    def stop(self) -> None:
        """Draft nothing any more: the model cannot go back behind a wrong token."""
        self.policy = Policy(self.costs, 0)

    def _tokens_of(self, text: str) -> bytes:
        if (known := self._packed.get(text)) is not None:
            self._packed.move_to_end(text)
            return known
        self._packed[text] = tokens = packed(self._tokenize(text))
        self._chars += len(text)
        while self._chars > _KEPT_CHARS:
            self._chars -= len(self._packed.popitem(last=False)[0])
        return tokens
