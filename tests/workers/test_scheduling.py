"""What goes first, what stands still meanwhile, and what is kept: seen through the provider.

The model with random weights writes a text that depends on the whole prompt, so an unchanged text shows that its cache
was sound after an interruption.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from workers.opening import (
    TIMEOUT_S,
    EngineName,
    Install,
    Opener,
    completion,
    computing,
    cpu_s,
    pieces_of,
    text_of,
)
from workers.recurrent import write_mamba

from ghostd.config.local import LocalConfig
from ghostd.errors import Overloaded, WorkerCrashed
from ghostd.types import Claim, CompletionRequest, Delta, Priority, Usage
from ghostd.workers.provider import LocalProvider

pytestmark = pytest.mark.local_model

LONG = tuple(30 + number * 7 % 200 for number in range(600))
VERY_LONG = LONG[300:] + LONG
"""Takes so long to read that a stall of the test's own process falls amid it."""
OTHER = tuple(30 + number * 11 % 200 for number in range(60))


def asked(
    prompt: tuple[int, ...],
    priority: Priority = "chat",
    client: str = "",
    document: str = "",
    *,
    max_tokens: int | None = 4,
    model: str = "random",
) -> CompletionRequest:
    return replace(completion(model, prompt, max_tokens=max_tokens), claim=Claim(priority, client, document))


slowly = partial(asked, model="slow")
"""Of the model that takes a noticeable time."""


@pytest.fixture
async def slow(engine: EngineName, install: Install, open_provider: Opener) -> LocalProvider:
    """A model that reads and writes noticeably long, on each engine, loaded."""
    install("slow")
    provider = await open_provider(LocalConfig(engine=engine, context_tokens=4096))
    await text_of(provider.complete(slowly((19,), max_tokens=1)))
    return provider


@pytest.fixture
async def quick(engine: EngineName, install: Install, open_provider: Opener) -> LocalProvider:
    """A model that is soon done, on each engine, loaded."""
    install("random")
    provider = await open_provider(LocalConfig(engine=engine, context_tokens=4096))
    await text_of(provider.complete(asked((19,), max_tokens=1)))
    return provider


async def last_of(provider: LocalProvider, request: CompletionRequest) -> Delta:
    return (await pieces_of(provider.complete(request)))[-1]


async def usage_of(provider: LocalProvider, request: CompletionRequest) -> Usage:
    usage = (await last_of(provider, request)).usage
    assert usage is not None
    return usage


# --- what goes first ----------------------------------------------------------


async def test_a_chat_that_is_interrupted_amid_its_prompt_goes_on_unchanged(slow: LocalProvider) -> None:
    alone = await text_of(slow.complete(slowly(LONG)))
    await text_of(slow.complete(slowly(LONG[::-1])))  # so that it is read again
    ended: list[str] = []
    before_s = cpu_s(slow, "slow")

    async def chat() -> str:
        text = await text_of(slow.complete(slowly(VERY_LONG)))
        ended.append("chat")
        return text

    async def type_on() -> None:
        await computing(slow, "slow", before_s)
        for number in range(3):
            await text_of(slow.complete(slowly((*OTHER, 40 + number), "interactive", "editor", "a.py")))
        ended.append("interactive")

    async with asyncio.TaskGroup() as tasks:
        interrupted = tasks.create_task(chat())
        tasks.create_task(type_on())
    assert ended == ["interactive", "chat"]
    assert interrupted.result() == await text_of(slow.complete(slowly(VERY_LONG)))
    assert alone == await text_of(slow.complete(slowly(LONG)))


async def test_a_chat_that_is_interrupted_amid_its_text_goes_on_unchanged(quick: LocalProvider) -> None:
    alone = await text_of(quick.complete(asked(OTHER, max_tokens=40)))
    text = ""
    async with aclosing(quick.complete(asked(OTHER, max_tokens=40))) as deltas:
        async for delta in deltas:
            text += delta.text
            if len(text) in range(2, 12):
                await text_of(quick.complete(asked((50, len(text)), "interactive", max_tokens=2)))
    assert text == alone


async def test_the_most_urgent_of_those_that_wait_goes_first(quick: LocalProvider) -> None:
    order: list[str] = []

    async def ask(priority: Priority) -> None:
        await text_of(quick.complete(asked((*OTHER, 31), priority, priority, max_tokens=3)))
        order.append(priority)

    async with aclosing(quick.complete(asked((60,), "interactive", "first", max_tokens=None))) as running:
        await anext(running)
        waiting: tuple[Priority, ...] = ("warm-up", "chat", "speculative")
        async with asyncio.TaskGroup() as tasks:
            for priority in waiting:
                tasks.create_task(ask(priority))
            await asyncio.sleep(0)
            await running.aclose()
    assert order == ["speculative", "chat", "warm-up"]


async def test_clients_of_one_priority_take_turns(quick: LocalProvider) -> None:
    """The second one's short text does not wait for the end of the first one's long text."""
    async with aclosing(quick.complete(asked((60,), "chat", "first", max_tokens=None))) as running:
        await anext(running)
        assert await text_of(quick.complete(asked(OTHER, "chat", "second", max_tokens=3)))
        assert (await anext(running)).finish_reason is None


async def test_a_full_queue_refuses_what_is_least_urgent(install: Install, open_provider: Opener) -> None:
    install("random")
    provider = await open_provider(LocalConfig(engine="llama-cpp-python", max_queue=1))
    async with aclosing(provider.complete(asked((60,), "interactive", max_tokens=None))) as running:
        await anext(running)
        warming = asyncio.create_task(provider.warm(asked(OTHER)))
        await asyncio.sleep(0)
        urgent = asyncio.create_task(text_of(provider.complete(asked(OTHER, "interactive"))))
        with pytest.raises(Overloaded, match="max_queue"):
            await warming
        with pytest.raises(Overloaded, match="max_queue"):
            await text_of(provider.complete(asked(OTHER, "chat")))
    assert await urgent


# --- cancelling -----------------------------------------------------------------


async def test_of_forty_keys_only_what_is_not_cancelled_is_computed(quick: LocalProvider) -> None:
    async def key(number: int) -> Usage:
        return await usage_of(quick, asked((*LONG[:200], 30 + number), "interactive", "editor", "a.py", max_tokens=8))

    async with asyncio.timeout(TIMEOUT_S):
        tasks = [asyncio.create_task(key(0))]
        for number in range(1, 40):
            await asyncio.sleep(0)
            tasks[-1].cancel()
            tasks.append(asyncio.create_task(key(number)))
        found = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(each, asyncio.CancelledError) for each in found] == [True] * 39 + [False]


async def test_a_generation_that_stands_still_can_be_cancelled(quick: LocalProvider) -> None:
    async with aclosing(quick.complete(asked((60,), "interactive", max_tokens=None))) as urgent:
        async with aclosing(quick.complete(asked((61,), "chat", "other", max_tokens=None))) as chat:
            waiting = asyncio.ensure_future(anext(chat))
            await anext(urgent)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        await anext(urgent)
    assert (await last_of(quick, asked(OTHER))).finish_reason == "length"


async def test_a_crash_ends_all_that_has_begun_and_nothing_that_waits(install: Install, open_provider: Opener) -> None:
    install("random")
    provider = await open_provider(LocalConfig(engine="llama-cpp-python"))
    async with (
        aclosing(provider.complete(asked((60,), "chat", "a", max_tokens=None))) as first,
        aclosing(provider.complete(asked((61,), "chat", "b", max_tokens=None))) as second,
    ):
        await anext(first)
        await anext(second)
        waiting = asyncio.create_task(text_of(provider.complete(asked(OTHER, "warm-up"))))
        await asyncio.sleep(0)
        worker = provider.worker_pid("random")
        assert worker is not None
        os.kill(worker, signal.SIGKILL)
        for deltas in (first, second):
            with pytest.raises(WorkerCrashed, match="SIGKILL"):
                async for _ in deltas:
                    pass
    assert await waiting


# --- what is kept ---------------------------------------------------------------


async def test_documents_and_a_chat_that_alternate_are_not_read_again(quick: LocalProvider) -> None:
    prompts = {"a.py": LONG[:200], "b.py": LONG[200:400], "": LONG[400:600]}
    for document, prompt in prompts.items():
        await text_of(quick.complete(asked(prompt, "interactive" if document else "chat", "editor", document)))
    for number in range(2):
        for document, prompt in prompts.items():
            typed = (*prompt, *range(30, 31 + number))
            priority: Priority = "interactive" if document else "chat"
            usage = await usage_of(quick, asked(typed, priority, "editor", document, max_tokens=1))
            assert usage.cached_tokens >= 199, document


async def test_a_document_has_what_it_shares_with_another_from_there(install: Install, open_provider: Opener) -> None:
    install("random")
    provider = await open_provider(LocalConfig(engine="llama-cpp-python"))
    head = LONG[:200]
    await text_of(provider.complete(asked((*head, 40, 41), "interactive", "editor", "a.py")))
    assert (await usage_of(provider, asked((*head, 50, 51), "interactive", "editor", "b.py"))).cached_tokens == 200
    assert (await usage_of(provider, asked((*head, 40, 41), "interactive", "editor", "a.py"))).cached_tokens == 201


async def test_documents_that_begin_alike_keep_their_own_prompts(quick: LocalProvider) -> None:
    for number in range(2):
        for document, own in (("a.py", LONG[300:400]), ("b.py", LONG[400:500])):
            request = asked((*LONG[:100], *own), "interactive", "editor", document, max_tokens=1)
            cached = (await usage_of(quick, request)).cached_tokens
            assert cached == 199 or not number


async def test_more_prompts_than_fit_drop_those_used_longest_ago(install: Install, open_provider: Opener) -> None:
    """Five prompts of 120 tokens in a cache of 512, the first of them used again in between."""
    install("random")
    provider = await open_provider(LocalConfig(engine="llama-cpp-python", context_tokens=256))
    prompts = [LONG[120 * number : 120 * number + 120] for number in range(5)]

    async def cached(number: int) -> int:
        request = asked(prompts[number], "interactive", "editor", str(number), max_tokens=1)
        return (await usage_of(provider, request)).cached_tokens

    assert [await cached(number) for number in (0, 1, 0, 2, 3, 0, 4)] == [0, 0, 119, 0, 0, 119, 0]
    assert await cached(1) == 0


async def test_open_chats_that_do_not_fit_together_come_one_after_the_other(
    install: Install, open_provider: Opener
) -> None:
    install("random")
    provider = await open_provider(LocalConfig(engine="llama-cpp-python", context_tokens=256))
    requests = [asked(LONG[number : number + 200], "chat", str(number), max_tokens=40) for number in range(4)]
    alone = [await text_of(provider.complete(request)) for request in requests]
    together = await asyncio.gather(*(text_of(provider.complete(request)) for request in requests))
    assert together == alone


async def test_one_sequence_is_enough_for_interruptions(
    engine: EngineName, install: Install, open_provider: Opener
) -> None:
    """The interrupted chat loses its cache, and reads its own text again."""
    install("random")
    provider = await open_provider(LocalConfig(engine=engine, kv_sequences=1, context_tokens=256))
    alone = await text_of(provider.complete(asked(OTHER, max_tokens=30)))
    text = ""
    async with aclosing(provider.complete(asked(OTHER, max_tokens=30))) as deltas:
        async for delta in deltas:
            text += delta.text
            if len(text) == 5:
                await text_of(provider.complete(asked(LONG[:150], "interactive", max_tokens=2)))
    assert text == alone


async def test_a_model_that_cannot_go_back_in_a_text_goes_on_where_one_ended(
    models_dir: Path, open_provider: Opener
) -> None:
    """A recurrent one: a prompt that continues a kept text finds it, one that differs within it is read anew."""
    await asyncio.to_thread(write_mamba, models_dir / "mamba.gguf")
    provider = await open_provider(LocalConfig(engine="llama-cpp-python"))
    request = asked(LONG[:90], max_tokens=10, model="mamba")
    pieces = await pieces_of(provider.complete(request))
    written = tuple(token for piece in pieces for token in piece.tokens)
    assert len(written) == 10
    longer = asked((*LONG[:90], *written, 40), max_tokens=1, model="mamba")
    assert (await usage_of(provider, longer)).cached_tokens == 99
    assert (await usage_of(provider, request)).cached_tokens == 0
    text = ""
    async with aclosing(provider.complete(asked(LONG[:90], max_tokens=10, model="mamba"))) as deltas:
        async for delta in deltas:
            text += delta.text
            await text_of(provider.complete(asked(OTHER, "interactive", max_tokens=1, model="mamba")))
    assert text == "".join(piece.text for piece in pieces)


# --- warming up -----------------------------------------------------------------


async def test_a_prompt_that_was_warmed_up_is_cached(quick: LocalProvider) -> None:
    request = asked(LONG[:400], "interactive", "editor", "a.py", max_tokens=1)
    assert await quick.warm(request) == Usage(400, 0, 0)
    assert (await usage_of(quick, request)).cached_tokens == 399
    assert (await quick.warm(request)).cached_tokens >= 399


async def test_warming_up_makes_way_and_goes_on(slow: LocalProvider) -> None:
    request = slowly(LONG, "interactive", "editor", "a.py", max_tokens=1)
    before_s = cpu_s(slow, "slow")
    warming = asyncio.create_task(slow.warm(request))
    await computing(slow, "slow", before_s)
    await text_of(slow.complete(slowly(OTHER, "interactive", "editor", "b.py")))
    assert (await warming).prompt_tokens == len(LONG)
    assert (await usage_of(slow, request)).cached_tokens == len(LONG) - 1


# --- what is told ---------------------------------------------------------------


async def test_the_last_delta_says_where_the_time_went(quick: LocalProvider) -> None:
    *pieces, last = await pieces_of(quick.complete(asked(LONG[:300], max_tokens=8)))
    assert last.timings is not None
    assert last.timings.prefill_ms > 0 and last.timings.decode_ms > 0 and last.timings.queue_ms >= 0
    assert all(piece.timings is None for piece in pieces)
    (info,) = quick.models()
    assert info.speed is not None and info.speed.prefill > 0 and info.speed.decode > 0


async def test_the_time_of_standing_still_counts_as_waiting(install: Install, open_provider: Opener) -> None:
    install("slow")
    provider = await open_provider(LocalConfig(engine="llama-cpp-python"))
    async with aclosing(provider.complete(slowly((60,), "interactive", max_tokens=None))) as urgent:
        await anext(urgent)
        chat = asyncio.create_task(last_of(provider, slowly(OTHER, max_tokens=2)))
        await asyncio.sleep(0)  # it is sent
        sent_s = time.monotonic()
        while time.monotonic() < sent_s + 1:
            await anext(urgent)
    timings = (await chat).timings
    assert timings is not None and timings.queue_ms > timings.decode_ms
