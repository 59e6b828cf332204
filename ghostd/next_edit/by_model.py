"""Next edits by a model that was made, or can be told, to propose them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from difflib import SequenceMatcher
from typing import Protocol

from ghostd.config.next_edit import NextEditConfig
from ghostd.conversation import Message
from ghostd.models import ModelInfo
from ghostd.next_edit.asked import Asked
from ghostd.next_edit.document import Source
from ghostd.next_edit.model_prompt import END, prompt_of, region_of
from ghostd.next_edit.proposal import Proposal, propose
from ghostd.types import ChatRequest, CompletionRequest, Delta, Sampling

_CONFIDENCE = 0.6
_MAX_TOKENS = 1024
_MAX_CHANGED = 0.6
"""The share of the region's lines that a next edit changes at most: more is another text, no edit."""


class Models(Protocol):
    """What is asked of the engine."""

    def model(self, name: str) -> ModelInfo:
        """What is known of a name; raises ModelNotFound."""
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

    async def proposals(self, asked: Asked, source: Source) -> list[Proposal]:
        """One for each run of lines that the model changes; none for an answer that is late, or has another form.

        Raises GhostdError where the model is not there, or fails.
        """
        leaves = self._models.model(self._config.model).remote
        prompt = prompt_of(source, asked.offset, asked.edits, leaves=leaves)
        if prompt is None:
            return []
        try:
            async with asyncio.timeout(self._config.model_timeout_ms / 1000):
                answer = await self._answer(prompt.text)
        except TimeoutError:
            return []
        region = region_of(answer)
        old = source.text[prompt.start : prompt.end]
        return [] if region is None else _proposals(source, prompt.start, old, region, self._config.model)

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
                text += delta.text
                if END in text:
                    break
        return text


def _proposals(source: Source, start: int, old: str, new: str, model: str) -> list[Proposal]:
    before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    if "\r\n" in old and "\r\n" not in new:
        after = [line.replace("\n", "\r\n") for line in after]
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    codes = [code for code in matcher.get_opcodes() if code[0] != "equal"]
    changed = sum(max(i2 - i1, j2 - j1) for _, i1, i2, j1, j2 in codes)
    if changed > max(_MAX_CHANGED * len(before), 3):
        return []
    starts = [start]
    for line in before:
        starts.append(starts[-1] + len(line))
    reason = f"{model} proposes it."
    return [
        propose(source, starts[i1], starts[i2], "".join(after[j1:j2]), "model", reason, _CONFIDENCE)
        for _, i1, i2, j1, j2 in codes
    ]
