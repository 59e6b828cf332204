"""From a model's name to its vocabulary. Source: tiktoken's `model.py`, November 2026."""

from __future__ import annotations

import re
from dataclasses import dataclass

O200K, CL100K = "o200k_base", "cl100k_base"


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """How a model's texts become tokens, and how its conversations are laid out."""

    name: str
    per_tool: int = 7
    """Tokens that a function's declaration costs beside its words."""
    priming: int = 3
    """Tokens at the end of every conversation that begin the reply."""
    settled: bool = False
    """Whether what a conversation costs beside its texts is published for the model."""


_CHAT = Vocabulary(O200K, settled=True)
_REASONING = Vocabulary(O200K, priming=2)
_OLDER = Vocabulary(CL100K, per_tool=10, settled=True)
_FAMILIES: tuple[tuple[str, Vocabulary], ...] = (
    (r"(?:chat)?gpt-4o(?!.*(?:audio|realtime|transcribe|tts))", _CHAT),
    (r"gpt-4\.1", _CHAT),
    (r"gpt-4\.5", Vocabulary(O200K)),
    (r"gpt-5", _REASONING),
    (r"o[134]", _REASONING),
    (r"gpt-3\.?5-turbo|gpt-3\.5", _OLDER),
    (r"gpt-4(?!\.)", _OLDER),
    (r"davinci-002|babbage-002|text-embedding-ada-002|text-embedding-3", _OLDER),
)
_KNOWN = tuple((re.compile(rf"(?:{pattern})(?:$|[-.:])"), vocabulary) for pattern, vocabulary in _FAMILIES)
_MAX_CHARS = 200


def vocabulary_of(model: str) -> Vocabulary | None:
    """The vocabulary of one of OpenAI's models, whatever folder of names it stands in; None for others."""
    name = model[-_MAX_CHARS:].lower().rpartition("/")[2].removeprefix("ft:")
    for pattern, vocabulary in _KNOWN:
        if pattern.match(name):
            return vocabulary
    return None
