"""The bytes of tokens as a GGUF file spells them, for an engine that tells tokens as text only."""

from __future__ import annotations

import re
from pathlib import Path

from ghostd.workers.gguf_reader import read_keys

_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")


class Vocabulary:
    """A model's tokens. Making it reads the file's header."""

    def __init__(self, path: Path) -> None:
        keys, _ = read_keys(path)
        self._tokens = keys.tokens
        self._byte_level = keys.values.get("tokenizer.ggml.model") == "gpt2"
        self._bytes = {stand_in: byte for byte, stand_in in enumerate(_byte_alphabet())}

    def piece(self, token: int) -> bytes:
        """What the token stands for; raises IndexError for an id that there is not."""
        spelled = self._tokens[token].decode("utf-8", "replace")
        if (byte := _BYTE.fullmatch(spelled)) is not None:
            return bytes((int(byte[1], 16),))
        if self._byte_level and all(character in self._bytes for character in spelled):
            return bytes(self._bytes[character] for character in spelled)
        return spelled.replace("▁", " ").encode()


def _byte_alphabet() -> list[str]:
    """GPT-2's printable stand-in for each byte (OpenAI, gpt-2, `encoder.py`)."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = iter(range(256, 512))
    return [chr(byte if byte in printable else next(others)) for byte in range(256)]
