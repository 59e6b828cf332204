"""What is remembered of each document's prompts, so that the next one begins alike."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from ghostd.completion.layout import Anchor, Layout, Pieces
from ghostd.completion.window import CHARS_PER_TOKEN

DOCUMENTS = 256
"""Documents that are remembered, over all sessions and models."""
_SLACK_TOKENS = 16
"""Tokens that a text may have more at its end once something follows it."""


@dataclass(frozen=True, slots=True)
class Counted:
    """A prompt whose tokens are known."""

    anchor: Anchor
    tokens: int
    """Of the whole prompt."""


class DocumentLayout:
    """Of one document, as one model sees it."""

    def __init__(self) -> None:
        self.anchor: Anchor | None = None
        """Of the last prompt."""
        self.chars_per_token = CHARS_PER_TOKEN
        """As the model's tokenizer counted when the window was cut last. It stays while it nearly fits: a window that
        is cut anew is read anew."""
        self._counted: Counted | None = None

    def count(self, layout: Layout, tokens: int) -> None:
        """The tokenizer has said how many tokens the prompt has."""
        self._counted = Counted(layout.anchor, tokens)

    def most_tokens(self, layout: Layout) -> int | None:
        """An upper bound of a prompt's tokens, by the last count and the bytes of what was added since; None where that
        says nothing."""
        counted = self._counted
        if counted is None:
            return None
        then, now = counted.anchor, layout.anchor
        if then.pieces != now.pieces or then.suffix != now.suffix or not layout.before.startswith(then.stable):
            return None
        return counted.tokens + len(layout.before[len(then.stable) :].encode("utf-8", "replace")) + _SLACK_TOKENS


class Layouts:
    """Of all documents, the least recently used ones forgotten. Use from the event loop's thread."""

    def __init__(self, most: int = DOCUMENTS) -> None:
        self._most = most
        self._documents: OrderedDict[tuple[str, str, str], DocumentLayout] = OrderedDict()

    def __len__(self) -> int:
        return len(self._documents)

    def of(self, client: str, document: str, model: str) -> DocumentLayout:
        """What is remembered of a client's document for a model; it is the most recently used one then."""
        key = client, document, model
        found = self._documents.setdefault(key, DocumentLayout())
        self._documents.move_to_end(key)
        while len(self._documents) > self._most:
            self._documents.popitem(last=False)
        return found

    def forget(self, client: str, document: str | None = None) -> None:
        """A client has closed a document, or (None) has gone."""
        for key in [key for key in self._documents if key[0] == client and document in (None, key[1])]:
            del self._documents[key]


def common_share(old: Pieces, new: Sequence[tuple[str, str]]) -> float:
    """The share (0..1) of the new pieces' text that the old ones have, too; 1 for no new ones."""
    total = sum(len(text) for _, text in new)
    known = set(old)
    return sum(len(piece[1]) for piece in new if piece in known) / total if total else 1.0
