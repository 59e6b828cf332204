"""Opening providers in tests, and short ways to ask them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from pathlib import Path
from typing import Literal

import psutil

from ghostd.completion.fill import collect
from ghostd.config.local import LocalConfig
from ghostd.conversation import Message
from ghostd.types import ChatRequest, CompletionRequest, Delta, Prompt, Sampling
from ghostd.workers.provider import LocalProvider, local_provider

EngineName = Literal["llama-cpp-python", "xllamacpp"]
ENGINES: dict[EngineName, str] = {"llama-cpp-python": "llama_cpp", "xllamacpp": "xllamacpp"}
GREEDY = Sampling(temperature=0.0)
TIMEOUT_S = 30.0

Install = Callable[[str], Path]


class Opener:
    """Opens providers over the models folder."""

    def __init__(self, exits: AsyncExitStack, models_dir: Path) -> None:
        self._exits = exits
        self._models_dir = models_dir

    async def __call__(self, config: LocalConfig) -> LocalProvider:
        """A provider that lives as long as the test, and has read all headers, however long that took."""
        opened = local_provider(config, self._models_dir, self._models_dir.parent)
        provider = await self._exits.enter_async_context(opened)
        await provider.refresh()
        return provider


def completion(model: str, prompt: Prompt, *, max_tokens: int | None = 8, **sampling: object) -> CompletionRequest:
    """A greedy completion, with further sampling fields."""
    return CompletionRequest(model, prompt, sampling=replace(GREEDY, **sampling), max_tokens=max_tokens)  # type: ignore[arg-type]


def chat(model: str, *contents: str, max_tokens: int | None = 32, stop: tuple[str, ...] = ()) -> ChatRequest:
    """A greedy chat of user messages."""
    messages = tuple(Message("user", content) for content in contents)
    return ChatRequest(model, messages, GREEDY, max_tokens, stop)


async def text_of(deltas: AsyncGenerator[Delta, None]) -> str:
    """The whole text."""
    return (await collect(deltas)).text


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a lasting state that no event announces."""
    async with asyncio.timeout(TIMEOUT_S):
        while not condition():
            await asyncio.sleep(0.01)


async def until_passing(condition: Callable[[], bool]) -> None:
    """Wait for a state that may pass soon: looks at each turn of the event loop, so that none is missed."""
    async with asyncio.timeout(TIMEOUT_S):
        while not condition():
            await asyncio.sleep(0)


def cpu_s(provider: LocalProvider, model: str) -> float:
    """Seconds that the model's worker has computed so far."""
    worker = provider.worker_pid(model)
    assert worker is not None
    times = psutil.Process(worker).cpu_times()
    return times.user + times.system


async def computing(provider: LocalProvider, model: str, since_s: float) -> None:
    """Wait until the worker, which had nothing to do at `cpu_s` == `since_s`, is well into what it was asked."""
    async with asyncio.timeout(TIMEOUT_S):
        while cpu_s(provider, model) < since_s + 0.1:
            await asyncio.sleep(0.005)


async def pieces_of(deltas: AsyncGenerator[Delta, None]) -> list[Delta]:
    """Every delta."""
    async with aclosing(deltas):
        return [delta async for delta in deltas]
