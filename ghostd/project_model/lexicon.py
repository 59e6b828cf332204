"""Words ↔ token ids of one root: the segment's vocabulary and the words that only documents have."""

from __future__ import annotations

from collections.abc import Sequence

from ghostd.project_model.segment import Segment
from ghostd.project_model.tokens import (
    END_OF_LINE,
    FIRST_WORD,
    Indentation,
    kind_of,
    lines_of,
    shape_of,
    split_line,
)

MAX_MEMO_LINES = 20_000
MAX_MEMO_CHARS = 400
"""Longer lines are not remembered."""
MAX_MEMO_WORDS = 30_000
MAX_NEW_WORDS = 100_000


class Lexicon:
    """Gives every word a token. Ids stay the same for the lexicon's life; a new segment needs a new lexicon."""

    def __init__(self, segment: Segment | None) -> None:
        self.segment = segment
        self._base = segment.vocabulary if segment else FIRST_WORD
        self._ids: dict[str, int] = {}
        self._new_ids: dict[str, int] = {}
        self._new_words: list[str] = []
        self._texts: dict[str, tuple[str, str]] = {}
        self._chars: dict[str, tuple[str, str]] = {}
        self._words: dict[int, str] = {}
        self._kinds: dict[int, int] = {}
        self._shapes: dict[int, int] = {}

    @property
    def full(self) -> bool:
        """Whether documents brought so many new words that a new lexicon should start."""
        return len(self._new_words) > MAX_NEW_WORDS

    @property
    def first_new(self) -> int:
        """Tokens from here on are words that the segment lacks."""
        return self._base

    def starting_with(self, prefix: str) -> range:
        """The segment's words that start with `prefix`."""
        return self.segment.starting_with(prefix) if self.segment else range(0)

    def token(self, word: str) -> int:
        """The word's token; makes one for a new word."""
        known = self._ids.get(word)
        if known is None:
            known = self._new_ids.get(word)
        if known is not None:
            return known
        found = self.segment.find(word) if self.segment else -1
        if found >= 0:
            if len(self._ids) >= MAX_MEMO_WORDS:
                self._ids.clear()
            self._ids[word] = found
            return found
        self._new_ids[word] = token = self._base + len(self._new_words)
        self._new_words.append(word)
        return token

    def word(self, token: int) -> str:
        """The token's text; "" for the fixed ones."""
        if token >= self._base:
            return self._new_words[token - self._base]
        known = self._words.get(token)
        if known is None:
            if len(self._words) >= MAX_MEMO_WORDS:
                self._words.clear()
            known = self._words[token] = self.segment.word(token) if self.segment else ""
        return known

    def kind(self, token: int) -> int:
        """NAME, KEYWORD, …"""
        known = self._kinds.get(token)
        if known is None:
            if len(self._kinds) >= MAX_MEMO_WORDS:
                self._kinds.clear()
            known = self._kinds[token] = kind_of(self.word(token))
        return known

    def shape(self, token: int) -> int:
        """The token, or what stands for all names or numbers."""
        known = self._shapes.get(token)
        if known is None:
            if len(self._shapes) >= MAX_MEMO_WORDS:
                self._shapes.clear()
            known = self._shapes[token] = shape_of(token, self.word(token))
        return known

    def frequency(self, token: int) -> int:
        """How often the learned files have the token."""
        return self.segment.frequency(token) if self.segment else 0

    def line(self, body: str) -> tuple[int, ...]:
        """The tokens of a line without its indentation."""
        token = self.token
        return tuple([token(word) for word in split_line(body)])

    def texts(self, text: str, indentation: Indentation) -> tuple[str, str]:
        """The tokens and shapes of whole lines, a character for each (see TokenText).

        `indentation` carries on from the text before, and to the text behind.
        """
        tokens: list[str] = []
        shapes: list[str] = []
        lines = self._texts
        step = indentation.step
        for space, body, blank in lines_of(text):
            head = chr(step(space, blank))
            known = lines.get(body)
            if known is None:
                known = self._line_texts(body)
            tokens += (head, known[0])
            shapes += (head, known[1])
        return "".join(tokens), "".join(shapes)

    def _line_texts(self, body: str) -> tuple[str, str]:
        chars = self._chars
        parts = []
        for word in split_line(body):
            pair = chars.get(word)
            if pair is None:
                pair = self._pair(word)
            parts.append(pair)
        tokens, shapes = zip(*parts, strict=True)
        known = "".join(tokens), "".join(shapes)
        if len(body) < MAX_MEMO_CHARS:
            if len(self._texts) >= MAX_MEMO_LINES:
                self._texts.clear()
            self._texts[body] = known
        return known

    def _pair(self, word: str) -> tuple[str, str]:
        token = self.token(word)
        if len(self._chars) >= MAX_MEMO_WORDS:
            self._chars.clear()
        pair = self._chars[word] = chr(token), chr(shape_of(token, word))
        return pair

    def text(self, tokens: Sequence[int]) -> str:
        """The text of one line's tokens."""
        return "".join(self.word(token) for token in tokens if token != END_OF_LINE)
