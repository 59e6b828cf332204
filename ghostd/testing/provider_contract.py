"""What every Provider must do, as tests. For plug-in authors too; needs pytest and pytest-asyncio (auto mode).

Subclass ProviderContract in a test module and override the fixture `subject`:

    class TestMyProvider(ProviderContract):
        @pytest.fixture
        async def subject(self) -> AsyncIterator[Subject]:
            async with my_provider() as provider:
                yield Subject(provider, chat="some-model", complete="some-model")
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeVar

import pytest

from ghostd.conversation import Message, NamedTool, Tool, Tools
from ghostd.ports import Provider
from ghostd.types import ChatRequest, CompletionRequest, Delta, EmbedRequest, Sampling

T = TypeVar("T")

_TIMEOUT_S = 30.0
_GREEDY = Sampling(temperature=0.0)
_SCHEMA = '{"type":"object","properties":{"deep":{"type":"boolean"}},"required":["deep"],"additionalProperties":false}'


@dataclass(frozen=True, slots=True)
class Subject:
    """A provider under test and its models' names by what they can do; None leaves those tests out."""

    provider: Provider
    chat: str | None = None
    complete: str | None = None
    embed: str | None = None
    endless: CompletionRequest | None = None
    """A request whose stream is much longer than a test; it is only ever begun."""
    honours_max_tokens: bool = True
    tools: str | None = None
    """A model that calls tools whenever it must."""


class ProviderContract:
    """The contract's tests. Tests of what the subject does not offer are skipped."""

    @pytest.fixture
    async def subject(self) -> Subject:
        """The provider under test; override it."""
        raise NotImplementedError("override the fixture `subject`")

    def test_models_have_unique_names_in_a_stable_order(self, subject: Subject) -> None:
        """The name is what a client sends; two looks without a change in between are the same."""
        names = [info.id for info in subject.provider.models()]
        assert names and len(set(names)) == len(names)
        assert [info.id for info in subject.provider.models()] == names

    def test_each_model_says_what_it_can_do(self, subject: Subject) -> None:
        """A model without capabilities could never be asked for anything."""
        for info in subject.provider.models():
            assert info.capabilities
            assert info.owned_by

    async def test_a_chat_ends_with_one_finish_reason_and_usage(self, subject: Subject) -> None:
        """The last delta carries both, and no earlier one does."""
        model = _offered(subject.chat, "chat")
        request = ChatRequest(model, (Message("user", "Say hello."),), _GREEDY, max_tokens=16)
        _check_stream(await _collect(subject.provider.chat(request)))

    async def test_a_tool_that_must_be_called_is(self, subject: Subject) -> None:
        """Id and name come in the call's first piece; the arguments are an object of the tool's schema."""
        model = _offered(subject.tools, "tools")
        tool = Tool("look", "Looks.", _SCHEMA)
        wanted = Tools((Tool("other"), tool), NamedTool("look"), parallel=False)
        request = ChatRequest(model, (Message("user", "Look."),), _GREEDY, max_tokens=200, tools=wanted)
        deltas = await _collect(subject.provider.chat(request))
        first, *others = [piece for delta in deltas for piece in delta.tool_calls]
        assert first.index == 0 and first.id and first.name == "look"
        assert all((piece.index, piece.id, piece.name) == (0, None, None) for piece in others)
        arguments = json.loads("".join(piece.arguments for piece in (first, *others)))
        assert arguments in ({"deep": True}, {"deep": False})
        assert deltas[-1].finish_reason == "tool_calls"

    async def test_a_completion_ends_with_one_finish_reason_and_usage(self, subject: Subject) -> None:
        """The last delta carries both, and no earlier one does."""
        model = _offered(subject.complete, "complete")
        request = CompletionRequest(model, ("def add(a, b):",), sampling=_GREEDY, max_tokens=16)
        _check_stream(await _collect(subject.provider.complete(request)))

    async def test_the_same_greedy_request_gives_the_same_text(self, subject: Subject) -> None:
        """Temperature 0 picks the likeliest token, whatever was computed before."""
        model = _offered(subject.complete, "complete")
        request = CompletionRequest(model, ("def add(a, b):",), sampling=_GREEDY, max_tokens=16)
        first = await _collect(subject.provider.complete(request))
        second = await _collect(subject.provider.complete(request))
        assert "".join(d.text for d in first) == "".join(d.text for d in second)

    async def test_max_tokens_ends_a_stream_with_length(self, subject: Subject) -> None:
        """OpenAI reference: "length" when the maximum number of tokens was reached."""
        if subject.endless is None or not subject.honours_max_tokens:
            pytest.skip("the subject has no endless request, or does not count tokens")
        request = CompletionRequest(
            subject.endless.model, subject.endless.prompt, sampling=subject.endless.sampling, max_tokens=3
        )
        last = (await _collect(subject.provider.complete(request)))[-1]
        assert last.finish_reason == "length"
        assert last.usage is not None and last.usage.completion_tokens == 3

    async def test_a_generator_that_was_never_started_can_be_closed(self, subject: Subject) -> None:
        """Nothing has begun, so there is nothing to end."""
        model = _offered(subject.complete, "complete")
        await subject.provider.complete(CompletionRequest(model, ("x",))).aclose()

    async def test_after_closing_a_stream_the_next_request_is_served(self, subject: Subject) -> None:
        """Closing ends the work behind the stream; it must not hold the model."""
        endless = _offered(subject.endless, "an endless request")
        async with asyncio.timeout(_TIMEOUT_S):
            async with aclosing(subject.provider.complete(endless)) as deltas:
                await anext(deltas)
            model = _offered(subject.complete, "complete")
            request = CompletionRequest(model, ("def f(",), sampling=_GREEDY, max_tokens=2)
            _check_stream(await _collect(subject.provider.complete(request)))

    async def test_after_cancelling_a_reader_the_next_request_is_served(self, subject: Subject) -> None:
        """Cancellation of the task that iterates is the same as closing."""
        endless = _offered(subject.endless, "an endless request")
        started = asyncio.Event()

        async def read() -> None:
            async with aclosing(subject.provider.complete(endless)) as deltas:
                async for _ in deltas:
                    started.set()

        async with asyncio.timeout(_TIMEOUT_S):
            reader = asyncio.create_task(read())
            await started.wait()
            reader.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reader
            model = _offered(subject.complete, "complete")
            request = CompletionRequest(model, ("def f(",), sampling=_GREEDY, max_tokens=2)
            _check_stream(await _collect(subject.provider.complete(request)))

    async def test_embeddings_are_one_unit_vector_for_each_input(self, subject: Subject) -> None:
        """In the inputs' order, all of one length; equal inputs have equal vectors."""
        model = _offered(subject.embed, "embed")
        answer = await subject.provider.embed(EmbedRequest(model, (("alpha beta",), ("gamma",), ("alpha beta",))))
        assert len(answer.vectors) == 3
        assert len({len(vector) for vector in answer.vectors}) == 1
        for vector in answer.vectors:
            assert math.isclose(math.sqrt(sum(x * x for x in vector)), 1.0, abs_tol=1e-3)
        assert answer.vectors[0] == pytest.approx(answer.vectors[2], abs=1e-4)
        assert answer.usage.prompt_tokens > 0


def _offered(value: T | None, what: str) -> T:
    if value is None:
        pytest.skip(f"the subject does not offer {what}")
    return value


async def _collect(deltas: AsyncGenerator[Delta, None]) -> list[Delta]:
    async with asyncio.timeout(_TIMEOUT_S), aclosing(deltas):
        return [delta async for delta in deltas]


def _check_stream(deltas: list[Delta]) -> None:
    assert deltas, "a stream has at least its last delta"
    assert [d.finish_reason for d in deltas[:-1]] == [None] * (len(deltas) - 1)
    assert deltas[-1].finish_reason in ("stop", "length")
    usage = deltas[-1].usage
    assert usage is not None and usage.prompt_tokens >= 0 and usage.completion_tokens >= 0
    assert 0 <= usage.cached_tokens <= usage.prompt_tokens
