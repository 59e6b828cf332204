"""OpenAI's official Python SDK against a real server, both of its clients."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletionMessageParam

from ghostd.errors import ContextTooLong, Overloaded, WorkerCrashed
from ghostd.testing.gateway import serving
from ghostd.testing.scripted import ScriptedProvider

MESSAGES: list[ChatCompletionMessageParam] = [{"role": "user", "content": "hi"}]


@pytest.fixture
def provider() -> ScriptedProvider:
    return ScriptedProvider(model="owner/scripted:7b")


@pytest.fixture
async def client(provider: ScriptedProvider) -> AsyncIterator[AsyncOpenAI]:
    async with (
        serving(provider) as served,
        AsyncOpenAI(api_key="any", base_url=f"{served.url}/v1", max_retries=0) as made,
    ):
        yield made


async def test_chat(client: AsyncOpenAI) -> None:
    reply = await client.chat.completions.create(model="auto", messages=MESSAGES, temperature=0, max_tokens=5)
    assert reply.choices[0].message.content == "hello world"
    assert reply.choices[0].finish_reason == "stop"
    assert reply.usage
    assert reply.usage.total_tokens == 9
    assert reply.model == "owner/scripted:7b"
    assert reply._request_id
    assert reply._request_id.startswith("req_")


async def test_chat_stream(client: AsyncOpenAI) -> None:
    text, finishes, usages = "", [], []
    stream = await client.chat.completions.create(
        model="auto", messages=MESSAGES, stream=True, stream_options={"include_usage": True}, n=2
    )
    async for chunk in stream:
        for choice in chunk.choices:
            text += choice.delta.content or ""
            finishes.append(choice.finish_reason)
        usages.append(chunk.usage)
    assert text == "hello world" * 2
    assert finishes.count("stop") == 2
    assert [usage.total_tokens for usage in usages if usage] == [11]


async def test_chat_stream_helper_accumulates_a_whole_completion(client: AsyncOpenAI) -> None:
    async with client.chat.completions.stream(model="auto", messages=MESSAGES) as stream:
        async for _ in stream:
            pass
        whole = await stream.get_final_completion()
    assert whole.choices[0].message.content == "hello world"


async def test_completions_with_suffix(client: AsyncOpenAI) -> None:
    reply = await client.completions.create(model="auto", prompt="f(", suffix=")", max_tokens=4)
    assert reply.choices[0].text == "hello world"
    stream = await client.completions.create(model="auto", prompt="f(", suffix=")", stream=True)
    assert "".join([chunk.choices[0].text async for chunk in stream]) == "hello world"


async def test_embeddings_come_as_base64_unless_told_otherwise(client: AsyncOpenAI) -> None:
    """The SDK asks for base64 by itself and decodes it."""
    for inputs, count in (("one", 1), (["one", "two"], 2), ([1, 2, 3], 1), ([[1], [2, 3]], 2)):
        reply = await client.embeddings.create(model="auto", input=inputs)
        assert [item.index for item in reply.data] == list(range(count))
        assert reply.data[0].embedding == pytest.approx([0.6, 0.8], abs=1e-7)
        assert reply.usage.prompt_tokens == count
    floats = await client.embeddings.create(model="auto", input="one", encoding_format="float", dimensions=2)
    assert floats.data[0].embedding == [0.6, 0.8]
    with pytest.raises(openai.BadRequestError) as caught:
        await client.embeddings.create(model="auto", input="one", dimensions=512)
    assert caught.value.param == "dimensions"
    for wrong in ("", [], ["a", ""]):
        with pytest.raises(openai.BadRequestError) as caught:
            await client.embeddings.create(model="auto", input=wrong)
        assert caught.value.param == "input"


@pytest.mark.covers("openai.models")
async def test_models(client: AsyncOpenAI) -> None:
    assert [model.id async for model in client.models.list()] == [
        "owner/scripted:7b",
        *("auto", "fast", "smart", "code", "local"),
    ]
    model = await client.models.retrieve("owner/scripted:7b")  # which the SDK percent-encodes
    assert (model.id, model.created, model.owned_by) == ("owner/scripted:7b", 1_750_000_000, "scripted")
    assert (await client.models.retrieve("auto")).owned_by == "ghostd"
    with pytest.raises(openai.NotFoundError):
        await client.models.retrieve("nobody")


async def test_errors_become_the_sdks_exceptions(client: AsyncOpenAI, provider: ScriptedProvider) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        await client.chat.completions.create(model="nobody", messages=MESSAGES)
    assert (missing.value.code, missing.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.BadRequestError) as wrong:
        await client.chat.completions.create(model="auto", messages=MESSAGES, temperature=9)
    assert (wrong.value.code, wrong.value.param) == ("invalid_value", "temperature")
    provider.error = ContextTooLong(9000, 4096)
    with pytest.raises(openai.BadRequestError) as long:
        await client.chat.completions.create(model="auto", messages=MESSAGES, stream=True)
    assert long.value.code == "context_length_exceeded"
    provider.error = Overloaded("full", 3)
    with pytest.raises(openai.InternalServerError) as busy:
        await client.chat.completions.create(model="auto", messages=MESSAGES)
    assert busy.value.response.headers["retry-after"] == "3"


async def test_an_error_amid_a_stream_is_raised_there(client: AsyncOpenAI, provider: ScriptedProvider) -> None:
    provider.error, provider.error_after = WorkerCrashed("the worker died"), 1
    stream = await client.chat.completions.create(model="auto", messages=MESSAGES, stream=True)
    text = ""
    with pytest.raises(openai.APIError, match="the worker died"):
        async for chunk in stream:
            text += chunk.choices[0].delta.content or ""
    assert text == "hello"


async def test_a_closed_stream_ends_its_generation(client: AsyncOpenAI, provider: ScriptedProvider) -> None:
    provider.pieces = ["word "] * 1_000_000
    stream = await client.chat.completions.create(model="auto", messages=MESSAGES, stream=True)
    async for _ in stream:
        break
    await stream.close()
    async with asyncio.timeout(20):
        while not provider.closed:
            await asyncio.sleep(0.01)


async def test_the_synchronous_client(provider: ScriptedProvider) -> None:
    def use(base_url: str) -> None:
        with OpenAI(api_key="any", base_url=base_url, max_retries=0) as client:
            reply = client.chat.completions.create(model="auto", messages=MESSAGES)
            assert reply.choices[0].message.content == "hello world"
            stream = client.chat.completions.create(model="auto", messages=MESSAGES, stream=True)
            assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "hello world"
            assert client.completions.create(model="auto", prompt="x").choices[0].text == "hello world"
            assert len(client.embeddings.create(model="auto", input="x").data[0].embedding) == 2
            assert client.models.list().data[0].id == "owner/scripted:7b"
            with pytest.raises(openai.NotFoundError):
                client.completions.create(model="nobody", prompt="x")

    async with serving(provider) as served:
        await asyncio.to_thread(use, f"{served.url}/v1")
