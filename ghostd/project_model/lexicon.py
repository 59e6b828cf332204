"""Words ↔ token ids of one root: the segment's vocabulary and the words that only documents have."""

from __future__ import annotations

from collections.abc import Sequence

from ghostd.project_model.segment import Segment
from ghostd.project_model.tokens import (
    ANY_NAME,
    ANY_NUMBER,
    END_OF_LINE,
    FIRST_WORD,
    NAME,
    NUMBER,
    Indentation,
    indent_width,
    kind_of,
    shape_of,
    split_line,
)

MAX_MEMO_LINES = 10_000
MAX_MEMO_CHARS = 400
"""Longer lines are not remembered."""
MAX_MEMO_TEXTS = 8
MAX_MEMO_TEXT_CHARS = 32_000
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
        self._last: dict[str, tuple[str, str, tuple[int, ...]]] = {}
        self._lines: dict[str, tuple[int, str, str]] = {}
        self._texts: dict[str, tuple[str, str]] = {}
        self._chars: dict[str, str] = {}
        self._shape_chars: dict[str, str] = {}
        self._words: dict[int, str] = {}
        self._kinds: dict[int, int] = {}
        self._shapes: dict[int, int] = {}
        self._traits: dict[int, tuple[int, int]] = {}

    @property
    def full(self) -> bool:
        """Whether documents brought so many new words that a new lexicon should start."""
        return len(self._new_words) > MAX_NEW_WORDS

    @property
    def first_new(self) -> int:
        """Tokens from here on are words that the segment lacks."""
        return self._base

    @property
    def end(self) -> int:
        """All tokens are below."""
        return self._base + len(self._new_words)

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
            shape = self.shape(token)
            known = NAME if shape == ANY_NAME else NUMBER if shape == ANY_NUMBER else kind_of(self.word(token))
            self._kinds[token] = known
        return known

    def shape(self, token: int) -> int:
        """The token, or what stands for all names or numbers."""
        known = self._shapes.get(token)
        if known is None:
            if len(self._shapes) >= MAX_MEMO_WORDS:
                self._shapes.clear()
            if self.segment and token < self._base:
                known = self.segment.shape[token]
            else:
                known = shape_of(token, self.word(token))
            self._shapes[token] = known
        return known

    def kind_and_frequency(self, token: int) -> tuple[int, int]:
        """Its kind, and how often the learned files have it: half of the number's length in binary, 7 at most."""
        known = self._traits.get(token)
        if known is None:
            if len(self._traits) >= MAX_MEMO_WORDS:
                self._traits.clear()
            frequency = self.segment.frequency(token) if self.segment else 0
            known = self._traits[token] = (self.kind(token), min(frequency.bit_length() // 2, 7))
        return known

    def line(self, body: str) -> tuple[int, ...]:
        """The tokens of a line without its indentation."""
        token = self.token
        return tuple([token(word) for word in split_line(body)])

    def texts(self, text: str, indentation: Indentation) -> tuple[str, str]:
        """The tokens and shapes of whole lines, a character for each (see TokenText).

        `indentation`, a new one, carries on to the text behind. The last texts are remembered: an editor asks again
        and again with the same lines above and below the cursor's.
        """
        known = self._last.pop(text, None)
        if known is None:
            known = (*self._texts_of(text, indentation), indentation.widths)
            while len(self._last) >= MAX_MEMO_TEXTS:
                del self._last[next(iter(self._last))]
        if len(text) <= MAX_MEMO_TEXT_CHARS:
            self._last[text] = known
        tokens, shapes, indentation.widths = known
        return tokens, shapes

    def _texts_of(self, text: str, indentation: Indentation) -> tuple[str, str]:
        tokens: list[str] = []
        shapes: list[str] = []
        known_lines = self._lines
        step = indentation.step
        blank = False
        for line in text.split("\n"):
            known = known_lines.get(line)
            if known is None:
                known = self._line(line)
            width, line_tokens, line_shapes = known
            if not line_tokens:
                blank = True
                continue
            head = chr(step(width, blank))
            blank = False
            tokens += (head, line_tokens)
            shapes += (head, line_shapes)
        return "".join(tokens), "".join(shapes)

    def _line(self, line: str) -> tuple[int, str, str]:
        """(columns of indentation, tokens, shapes) of a line; the tokens of a blank one are ""."""
        body = line.strip()
        if not body:
            return 0, "", ""
        bodies = self._texts.get(body)
        if bodies is None:
            bodies = self._line_texts(body)
        known = (indent_width(line[: len(line) - len(line.lstrip())]), *bodies)
        if len(line) < MAX_MEMO_CHARS:
            if len(self._lines) >= MAX_MEMO_LINES:
                self._lines.clear()
            self._lines[line] = known
        return known

    def _line_texts(self, body: str) -> tuple[str, str]:
        words = split_line(body)
        try:
            known = "".join(map(self._chars.__getitem__, words)), "".join(map(self._shape_chars.__getitem__, words))
        except KeyError:
            for word in words:
                if word not in self._chars:
                    self._add_chars(word)
            known = "".join(map(self._chars.__getitem__, words)), "".join(map(self._shape_chars.__getitem__, words))
        if len(body) < MAX_MEMO_CHARS:
            if len(self._texts) >= MAX_MEMO_LINES:
                self._texts.clear()
            self._texts[body] = known
        if len(self._chars) >= MAX_MEMO_WORDS:
            self._chars.clear()
            self._shape_chars.clear()
        return known

    def _add_chars(self, word: str) -> None:
        token = self.token(word)
        self._chars[word] = chr(token)
        self._shape_chars[word] = chr(shape_of(token, word))

    def text(self, tokens: Sequence[int]) -> str:
        """The text of one line's tokens."""
        return "".join(self.word(token) for token in tokens if token != END_OF_LINE)
