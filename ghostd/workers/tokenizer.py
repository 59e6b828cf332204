"""What local models say of tokens: a model's worker answers beside its work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from ghostd.types import ChatRequest, CompletionRequest
from ghostd.workers.messages import Detokenize, Pieces, Rendered, Tokenize, Tokens
from ghostd.workers.pool import ModelWorker
from ghostd.workers.requests import generation


class LocalTokenizer:
    """Implements ghostd.ports.Tokenizer for a provider of local models."""

    def _worker(self, model: str) -> ModelWorker:
        """The model's worker; raises ModelNotFound."""
        raise NotImplementedError

    async def tokenize(self, model: str, text: str, *, special: bool, bos: bool) -> Sequence[int]:
        """Token ids of a text by itself."""
        answer = await self._worker(model).ask(lambda number: Tokenize(number, text, special, bos))
        assert isinstance(answer, Tokens)
        return answer.tokens

    async def pieces(self, model: str, tokens: Sequence[int]) -> Sequence[bytes]:
        """The bytes of each of these tokens."""
        answer = await self._worker(model).ask(lambda number: Detokenize(number, list(tokens)))
        assert isinstance(answer, Pieces)
        return [piece.encode("latin-1") for piece in answer.pieces]

    async def detokenize(self, model: str, tokens: Sequence[int]) -> bytes:
        """The bytes of these tokens."""
        return b"".join(await self.pieces(model, tokens))

    async def count_tokens(self, request: ChatRequest | CompletionRequest) -> int:
        """How many tokens the prompt has, laid out as for a reply."""
        return (await self._rendered(request)).prompt_tokens

    async def render(self, request: ChatRequest) -> str:
        """The text that the file's chat template makes of a conversation."""
        return (await self._rendered(request)).text

    def chat_template(self, model: str) -> str:
        """The file's chat template; "" if it has none."""
        header = self._worker(model).model.header
        return (header.chat_template or "") if header is not None else ""

    async def _rendered(self, request: ChatRequest | CompletionRequest) -> Rendered:
        worker = self._worker(request.model)
        question = partial(generation, request, worker.model)
        answer = await worker.ask(lambda number: replace(question(number), render_only=True))
        assert isinstance(answer, Rendered)
        return answer
