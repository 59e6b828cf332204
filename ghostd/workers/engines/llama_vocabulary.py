"""The tokens of a model that llama.cpp has loaded."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

from ghostd.workers.engines.contract import EngineFailed

_PIECE_BYTES = 64


class LlamaVocabulary:
    """A model's tokens and their texts."""

    def __init__(self, lib: Any, model: int) -> None:
        self._lib = lib
        self.native = lib.llama_model_get_vocab(model)
        self.size = int(lib.llama_vocab_n_tokens(self.native))
        self._buffer = ctypes.create_string_buffer(_PIECE_BYTES)
        self._pieces: dict[int, bytes] = {}

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        """Token ids of `text`; adds no BOS."""
        data = text.encode("utf-8", "replace")
        room = len(data) + 16
        tokens = (self._lib.llama_token * room)()
        count = self._lib.llama_tokenize(self.native, data, len(data), tokens, room, False, special)
        if count < 0:
            raise EngineFailed("llama.cpp cannot tokenise the prompt")
        return list(tokens[:count])

    def pieces(self, tokens: Sequence[int]) -> list[bytes]:
        """The bytes of each token, control tokens as their text."""
        for token in tokens:
            if token not in self._pieces:
                self._pieces[token] = self.piece(token, special=True)
        return [self._pieces[token] for token in tokens]

    def piece(self, token: int, *, special: bool = False) -> bytes:
        """The bytes of one token; b"" for a control token, unless `special`."""
        buffer = self._buffer
        size = self._lib.llama_token_to_piece(self.native, token, buffer, _PIECE_BYTES, 0, special)
        if size < 0:
            buffer = ctypes.create_string_buffer(-size)
            size = self._lib.llama_token_to_piece(self.native, token, buffer, -size, 0, special)
        return ctypes.string_at(buffer, size)

    def ends(self, token: int) -> bool:
        """Whether the token ends a generation."""
        return bool(self._lib.llama_vocab_is_eog(self.native, token))

    def ids_of(self, markers: Sequence[str]) -> frozenset[int]:
        """Ids of those texts that are one token each."""
        found = (self.tokenize(marker, special=True) for marker in markers)
        return frozenset(ids[0] for ids in found if len(ids) == 1)
