"""From text to token ids without letting text become control tokens."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from ghostd.fim_markers import form_of
from ghostd.workers.engines.contract import RequestInvalid
from ghostd.workers.gguf_header import GgufHeader

Tokenize = Callable[[str, bool], list[int]]
"""Text and whether control tokens are recognised → ids."""


class PromptEncoder:
    """Encodes prompts for one model.

    Text pieces are tokenised with special tokens off. Since engines still recognise some ("user defined" ones),
    text that spells a special token is cut after that spelling's first character, which none can match.
    """

    def __init__(self, header: GgufHeader, tokenize: Tokenize, vocabulary_size: int) -> None:
        self._header = header
        self._tokenize = tokenize
        self._vocabulary_size = vocabulary_size
        self._special = _pattern(header.special_texts)
        self._newline: list[int] | None = None
        form = form_of(header.fim_ids)
        # Code Llama and Codestral: a space before the prefix, none before the suffix, whichever comes first.
        self._prefix_id, self._suffix_id = (
            (header.fim_ids[form.prefix], header.fim_ids[form.suffix]) if form is not None else (-1, -1)
        )

    def encode(self, prompt: Sequence[str | int | list[str]]) -> list[int]:
        """Ids of a prompt in pieces (see Generate.prompt), with a BOS where the vocabulary asks for one.

        Raises RequestInvalid for a token id that the vocabulary does not have.
        """
        ids: list[int] = []
        text_before = False
        for piece in prompt:
            if isinstance(piece, str):
                ids.extend(self._plain(piece, exact=text_before))
                text_before = True
            elif isinstance(piece, list):
                for text in piece:
                    ids.extend(self._exact(text, special=True) if text_before else self._tokenize(text, True))
                    text_before = True
            else:
                self.check((piece,), "prompt")
                ids.append(piece)
                if piece in (self._prefix_id, self._suffix_id):
                    text_before = piece == self._suffix_id
        return self._with_bos(ids)

    def encode_text(self, text: str, *, special: bool, bos: bool) -> list[int]:
        """Ids of one text by itself, with control tokens recognised or not, with a BOS where it asks for one or not."""
        ids = self._tokenize(text, True) if special and text else self._plain(text, exact=False)
        return self._with_bos(ids) if bos else ids

    def check(self, ids: Iterable[int], param: str) -> None:
        """Raise RequestInvalid for a token id that the vocabulary does not have."""
        for token in ids:
            if not 0 <= token < self._vocabulary_size:
                raise RequestInvalid(
                    f"The token id {token} is not in the model's vocabulary (0 to {self._vocabulary_size - 1}).",
                    param,
                )

    def encode_input(self, prompt: Sequence[str | int]) -> list[int]:
        """Ids of an input to embed: also with the token that the vocabulary wants at its end."""
        ids = self.encode(prompt)
        end = self._header.end_id
        if ids and end is not None and ids[-1] != end:
            ids.append(end)
        return ids

    def encode_rendered(self, segments: Sequence[tuple[str, bool]]) -> list[int]:
        """Ids of a rendered chat: template text with special tokens recognised, quoted text without."""
        ids: list[int] = []
        for text, is_template in segments:
            if is_template:
                ids.extend(self._tokenize(text, True) if not ids else self._exact(text, special=True))
            else:
                ids.extend(self._plain(text, exact=bool(ids)))
        return self._with_bos(ids)

    def _with_bos(self, ids: list[int]) -> list[int]:
        bos = self._header.bos_id
        if self._header.add_bos and bos is not None and ids[:1] != [bos]:
            return [bos, *ids]
        return ids

    def _plain(self, text: str, *, exact: bool) -> list[int]:
        ids: list[int] = []
        for part in self._cut(text):
            if exact or ids:
                ids.extend(self._exact(part, special=False))
            else:
                ids.extend(self._tokenize(part, False))
        return ids

    def _cut(self, text: str) -> list[str]:
        if self._special is None:
            return [text] if text else []
        parts, start = [], 0
        for match in self._special.finditer(text):
            parts.append(text[start : match.start() + 1])
            start = match.start() + 1
        parts.append(text[start:])
        return [part for part in parts if part]

    def _exact(self, text: str, *, special: bool) -> list[int]:
        """Ids without the space that SentencePiece puts in front of text: a line break takes it."""
        if not self._header.sentencepiece:
            return self._tokenize(text, special)
        if self._newline is None:
            self._newline = self._tokenize("\n", False)
        ids = self._tokenize("\n" + text, special)
        if ids[: len(self._newline)] != self._newline:
            return self._tokenize(text, special)
        return ids[len(self._newline) :]


def _pattern(texts: Sequence[str]) -> re.Pattern[str] | None:
    if not texts:
        return None
    longest_first = sorted(texts, key=len, reverse=True)
    return re.compile("|".join(re.escape(text) for text in longest_first))
