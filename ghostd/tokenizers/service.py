"""Counts of tokens for OpenAI's models, by `quicktok` where it is installed (`pip install ghostd[token-counts]`)."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

from ghostd.errors import InvalidRequest
from ghostd.measured import Measured
from ghostd.tokenizers.layout import layout_of
from ghostd.tokenizers.messages import Question
from ghostd.tokenizers.names import vocabulary_of
from ghostd.tokenizers.process import IDLE_S, TokenizerProcess
from ghostd.types import ChatRequest, CompletionRequest


class OfflineTokenizers:
    """Implements `ghostd.measured.Tokenizers`. Made by `open_tokenizers`."""

    def __init__(self, process: TokenizerProcess, package: str) -> None:
        self.process = process
        self._package = package
        self._installed: bool | None = None

    async def measure(self, model: str, request: ChatRequest | CompletionRequest) -> Measured | None:
        """A prompt's tokens."""
        vocabulary = vocabulary_of(model)
        if vocabulary is None or not await self._usable():
            return None
        made = await asyncio.to_thread(layout_of, request, vocabulary)
        if made is None:
            return None
        reply = await self.process.ask(Question(vocabulary.name, texts=made.texts))
        return None if reply is None else Measured(max(0, reply.count + made.beside), made.exact)

    async def tokenize(self, model: str, text: str) -> Sequence[int] | None:
        """Token ids of a text."""
        vocabulary = vocabulary_of(model)
        if vocabulary is None or not await self._usable():
            return None
        reply = await self.process.ask(Question(vocabulary.name, text=text))
        return None if reply is None else reply.tokens

    async def pieces(self, model: str, tokens: Sequence[int]) -> Sequence[bytes] | None:
        """The bytes of each token."""
        vocabulary = vocabulary_of(model)
        if vocabulary is None or not await self._usable():
            return None
        reply = await self.process.ask(Question(vocabulary.name, tokens=list(tokens)))
        if reply is not None and reply.unknown is not None:
            raise InvalidRequest(f"Invalid value for 'tokens': the model has no token {reply.unknown}.", "tokens")
        return None if reply is None else reply.pieces

    async def _usable(self) -> bool:
        if self._installed is None:
            found = await asyncio.to_thread(partial(importlib.util.find_spec, self._package))
            self._installed = found is not None
        return self._installed


@asynccontextmanager
async def open_tokenizers(*, idle_s: float = IDLE_S, package: str = "quicktok") -> AsyncIterator[OfflineTokenizers]:
    """Tokenizers while the block runs; nothing is loaded until the first question."""
    process = TokenizerProcess(idle_s)
    try:
        yield OfflineTokenizers(process, package)
    finally:
        await process.close()
