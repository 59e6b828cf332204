"""Token counts of prompts for models that are asked over a network, where their tokenizer is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ghostd.types import ChatRequest, CompletionRequest


@dataclass(frozen=True, slots=True)
class Measured:
    """How many tokens a prompt has."""

    tokens: int
    exact: bool
    """Whether the service has published all that it adds to the texts; else that part is a good guess."""


class Tokenizers(Protocol):
    """Tokenizers of services that tell no counts. Nothing is loaded before the first question; nothing raises.

    `model` is a service's own name of a model. None: its tokenizer is not known, not installed, or does not answer.
    """

    async def measure(self, model: str, request: ChatRequest | CompletionRequest) -> Measured | None:
        """A prompt's tokens; None also where it holds what is no text."""
        ...

    async def tokenize(self, model: str, text: str) -> Sequence[int] | None:
        """Token ids of a text; what looks like a special token in it is text."""
        ...

    async def pieces(self, model: str, tokens: Sequence[int]) -> Sequence[bytes] | None:
        """The bytes of each of these tokens; raises InvalidRequest for an id that the vocabulary does not have."""
        ...
