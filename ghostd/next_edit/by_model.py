"""Next edits by a model that was made, or can be told, to propose them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from pathlib import Path, PurePosixPath
from typing import Protocol

from ghostd.config.next_edit import NextEditConfig
from ghostd.conversation import Message
from ghostd.models import ModelInfo
from ghostd.next_edit.aside import Aside
from ghostd.next_edit.asked import Asked
from ghostd.next_edit.document import Source
from ghostd.next_edit.history import Edit
from ghostd.next_edit.model_answer import proposals_of
from ghostd.next_edit.model_prompt import END, MAX_EDITS, prompt_of
from ghostd.next_edit.proposal import Proposal
from ghostd.types import ChatRequest, CompletionRequest, Delta, Sampling

_MAX_TOKENS = 1024
_MAX_CHARS = 64_000
"""Of an answer."""
_END_S, _END_CHARS = 0.2, 16
"""Behind the answer: a fence's end, and the end of the reply."""


class Models(Protocol):
    """What is asked of the engine."""

    def model(self, name: str) -> ModelInfo:
        """What is known of a name; raises ModelNotFound."""
        ...

    def may_leave(self, name: str) -> bool:
        """Whether what is asked of a name may leave this machine; raises ModelNotFound."""
        ...

    def chat(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """Stream the assistant's next message."""
        ...

    def complete(self, request: CompletionRequest) -> AsyncGenerator[Delta, None]:
        """Stream the continuation of a prompt."""
        ...


class ModelEdits:
    """Asks the configured model. Cancel the task to stop it."""

    def __init__(self, models: Models, config: NextEditConfig) -> None:
        self._models = models
        self._config = config

    async def proposals(self, asked: Asked, source: Source, aside: Aside) -> list[Proposal]:
        """One for each run of lines that the model changes; none for an answer that is late, or has another form.

        Nothing of a file that is not indexed is sent, and to a model that may be elsewhere no secret that is known by
        its form. Raises GhostdError where the model is not there, or fails.
        """
        name = self._config.model
        edits = await _indexed(asked, asked.edits[-MAX_EDITS:])
        if edits is None:
            return []
        prompt = await aside.run(prompt_of, source, asked.offset, edits, redact=self._models.may_leave(name))
        if prompt is None:
            return []
        try:
            async with asyncio.timeout(self._config.model_timeout_ms / 1000):
                answer = await self._answer(prompt.text)
        except TimeoutError:
            return []
        return await aside.run(proposals_of, source, prompt, answer, name)

    async def _answer(self, prompt: str) -> str:
        name, sampling = self._config.model, Sampling(temperature=0.0, optional=True)
        stream: AsyncGenerator[Delta, None]
        if "complete" in self._models.model(name).capabilities:
            stream = self._models.complete(
                CompletionRequest(name, (prompt,), sampling=sampling, max_tokens=_MAX_TOKENS)
            )
        else:
            stream = self._models.chat(
                ChatRequest(name, (Message("user", prompt),), sampling=sampling, max_tokens=_MAX_TOKENS)
            )
        text = ""
        async with aclosing(stream) as deltas:
            async for delta in deltas:
                seen = max(len(text) - len(END), 0)
                text += delta.text
                if len(text) > _MAX_CHARS:
                    break
                if END in text[seen:]:
                    await _ended(deltas)
                    break
        return text


async def _ended(deltas: AsyncGenerator[Delta, None]) -> None:
    """Let a model that has given its answer end by itself, as most do at once: else its tokens are never told."""
    chars = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(_END_S):
            async for delta in deltas:
                chars += len(delta.text)
                if chars > _END_CHARS:
                    return


async def _indexed(asked: Asked, edits: Sequence[Edit]) -> list[Edit] | None:
    """The edits of indexed files: others may be left out for the secrets in them. None where the asked file is none."""
    known: dict[Path, bool] = {}
    for file in dict.fromkeys((asked.root / asked.path, *(edit.path for edit in edits))):
        root = asked.view.root_of(file)
        inside = None if root is None else PurePosixPath(file.relative_to(root))
        known[file] = root is not None and inside is not None and await asked.view.text(root, inside) is not None
    return [edit for edit in edits if known[edit.path]] if known[asked.root / asked.path] else None
