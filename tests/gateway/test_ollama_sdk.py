"""Ollama's official Python client against a real server, in front of a service of each dialect."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from ollama import AsyncClient, Client, ResponseError
from providers.anthropic_dialect import AnthropicDialect
from providers.gemini_dialect import GeminiDialect
from providers.ollama_dialect import OllamaDialect
from providers.openai_dialect import OpenAIDialect
from pydantic import BaseModel
from routing_harness import configured

from ghostd.conversation import ToolCall
from ghostd.engine import Engine
from ghostd.errors import ContextTooLong, WorkerCrashed
from ghostd.routing.registry import Registry
from ghostd.testing.gateway import serving
from ghostd.testing.scripted import ScriptedProvider
from ghostd.testing.scripted_upstream import Answer, ScriptedUpstream, Seen, json_answer, scripted_upstream
from ghostd.testing.upstream_dialect import PROVIDER, Reply, UpstreamDialect, opened
from ghostd.types import Usage

PNG = bytes.fromhex("89504e470d0a1a0a0000000d4948445200000001000000010806000000")
HI = [{"role": "user", "content": "Who are you?"}]
CALLS = (ToolCall("call_a1", "weather", '{"city":"Paris"}'), ToolCall("call_b2", "weather", '{"city":"Rome"}'))
DIALECTS: dict[str, Callable[[], UpstreamDialect]] = {
    "openai": OpenAIDialect,
    "anthropic": AnthropicDialect,
    "gemini": GeminiDialect,
    "ollama": OllamaDialect,
}


class City(BaseModel):
    city: str


def weather(city: str) -> str:
    """The weather in a city.

    Args:
      city: Its name.
    """
    return f"sunny in {city}"


def reply_to(body: dict[str, Any]) -> Reply:
    """What a healthy server says: it calls the tools it is offered, follows a schema, else says who it is."""
    text = json.dumps(body)
    if body.get("tools") and "sunny in Paris" not in text:
        return Reply((), "tool_calls", Usage(40, 20), CALLS)
    if any(key in text for key in ("response_format", "output_config", "responseJsonSchema", '"format"')):
        return Reply(('{"city":', '"Paris"', "}"), usage=Usage(30, 9))
    return Reply(("I am ", "here"), usage=Usage(21, 6))


def serving_as(dialect: UpstreamDialect) -> Callable[[Seen], Answer]:
    def serve(seen: Seen) -> Answer:
        generates = seen.path.endswith("/api/generate")
        if not generates and dialect.call(seen) != "chat":
            return dialect.serve(seen)
        body = seen.json
        reply = reply_to(body)
        if "endless" in str(body):
            return Answer(dialect.opening(reply), headers=dialect.chat(reply).headers, ending="hang")
        if generates:
            return generated(dialect, reply, stream=body.get("stream") is not False)
        if isinstance(dialect, OllamaDialect) and body.get("stream") is False:
            return dialect.whole_chat(reply)
        return dialect.chat(reply)

    return serve


def generated(dialect: UpstreamDialect, reply: Reply, *, stream: bool) -> Answer:
    """Ollama's reply to a prompt."""
    answer = dialect.complete(reply)
    return answer if stream else json_answer({**json.loads(answer.pieces[-1]), "response": "".join(reply.text)})


@asynccontextmanager
async def before(name: str) -> AsyncIterator[tuple[AsyncClient, str, ScriptedUpstream, str]]:
    """A client, the name of a model, the service behind ghostd, and the gateway's URL."""
    dialect = DIALECTS[name]()
    async with scripted_upstream(serving_as(dialect)) as upstream, opened(dialect, upstream) as provider:
        registry = Registry(configured(f"providers.{PROVIDER}.preset = 'openai'"), [], {PROVIDER: [provider]})
        async with serving(engine=Engine(registry=registry)) as served:
            client = AsyncClient(host=served.url)
            yield client, f"{PROVIDER}/{dialect.chat_model}", upstream, served.url
            await client._client.aclose()


@pytest.fixture(params=list(DIALECTS))
async def world(request: pytest.FixtureRequest) -> AsyncIterator[tuple[AsyncClient, str, ScriptedUpstream, str]]:
    async with before(request.param) as made:
        yield made


World = tuple[AsyncClient, str, ScriptedUpstream, str]


async def test_a_chat(world: World) -> None:
    client, model, _, _ = world
    reply = await client.chat(model=model, messages=HI, options={"temperature": 0, "num_predict": 50})
    assert (reply.message.role, reply.message.content) == ("assistant", "I am here")
    assert (reply.done, reply.done_reason) == (True, "stop")
    assert (reply.prompt_eval_count, reply.eval_count) == (21, 6)
    assert reply.total_duration is not None


async def test_a_streamed_chat(world: World) -> None:
    client, model, _, _ = world
    parts = [part async for part in await client.chat(model=model, messages=HI, stream=True)]
    assert "".join(part.message.content or "" for part in parts) == "I am here"
    assert [part.done for part in parts] == [False] * (len(parts) - 1) + [True]
    assert parts[-1].eval_count == 6


async def test_a_tool_loop(world: World) -> None:
    client, model, _, _ = world
    messages: list[Any] = list(HI)
    for stream in (False, True):
        if stream:
            parts = [p async for p in await client.chat(model=model, messages=messages, tools=[weather], stream=True)]
            calls = [call for part in parts for call in part.message.tool_calls or ()]
        else:
            reply = await client.chat(model=model, messages=messages, tools=[weather])
            calls = list(reply.message.tool_calls or ())
        found = [(call.function.name, dict(call.function.arguments)) for call in calls]
        assert found == [("weather", {"city": "Paris"}), ("weather", {"city": "Rome"})]
    messages.append({"role": "assistant", "content": "", "tool_calls": [call.model_dump() for call in calls]})
    for call in calls:
        result = weather(**call.function.arguments)
        messages.append({"role": "tool", "tool_name": call.function.name, "content": result})
    last = await client.chat(model=model, messages=messages, tools=[weather])
    assert last.message.content == "I am here"


async def test_a_reply_that_follows_a_schema(world: World) -> None:
    client, model, _, _ = world
    reply = await client.chat(model=model, messages=HI, format=City.model_json_schema())
    assert City.model_validate_json(reply.message.content or "") == City(city="Paris")
    whole = await client.generate(model=model, prompt="Where?", format=City.model_json_schema())
    assert whole.response == '{"city":"Paris"}'


async def test_an_image(world: World) -> None:
    client, model, upstream, _ = world
    reply = await client.chat(model=model, messages=[{"role": "user", "content": "What is it?", "images": [PNG]}])
    assert reply.message.content == "I am here"
    assert b"iVBORw0KGgo" in upstream.requests[-1].body


async def test_generating(world: World) -> None:
    client, model, _, _ = world
    whole = await client.generate(model=model, prompt="Who?", system="Be short.")
    assert (whole.response, whole.done) == ("I am here", True)
    parts = [part async for part in await client.generate(model=model, prompt="Who?", stream=True)]
    assert "".join(part.response or "" for part in parts) == whole.response


async def test_a_client_that_stops_reading_frees_the_service(world: World) -> None:
    client, model, upstream, _ = world
    stream = await client.chat(model=model, messages=[{"role": "user", "content": "endless"}], stream=True)
    await anext(aiter(stream))
    await stream.aclose()  # type: ignore[attr-defined]
    async with asyncio.timeout(20):
        await upstream.abandoned()


async def test_a_cancelled_request_frees_the_service(world: World) -> None:
    client, model, upstream, _ = world
    asked = asyncio.create_task(client.chat(model=model, messages=[{"role": "user", "content": "endless"}]))
    async with asyncio.timeout(20):
        await upstream.requested()
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
        await upstream.abandoned()


async def test_a_model_that_nobody_has(world: World) -> None:
    client, _, _, _ = world
    with pytest.raises(ResponseError, match="not found") as caught:
        await client.chat(model="nobody", messages=HI)
    assert caught.value.status_code == 404


@pytest.mark.covers("ollama.models", "/api/tags", behind=("openai", "anthropic", "gemini", "ollama"))
@pytest.mark.covers("ollama.models", "/api/show", behind=("openai", "anthropic", "gemini", "ollama"))
async def test_lists_and_descriptions(world: World) -> None:
    client, model, _, _ = world
    listed = await client.list()
    assert model in [found.model for found in listed.models]
    shown = await client.show(model)
    assert "completion" in (shown.capabilities or ())
    assert shown.modelinfo
    assert (await client.ps()).models == []


async def test_the_synchronous_client(world: World) -> None:
    _, model, _, url = world

    def use() -> None:
        client = Client(host=url)
        assert client.chat(model=model, messages=HI).message.content == "I am here"
        assert (
            "".join(p.message.content or "" for p in client.chat(model=model, messages=HI, stream=True)) == "I am here"
        )
        assert client.list().models
        with pytest.raises(ResponseError):
            client.delete(model)
        client._client.close()

    await asyncio.to_thread(use)


# --- what needs no service ------------------------------------------------------------------


@pytest.fixture
async def scripted() -> AsyncIterator[tuple[AsyncClient, ScriptedProvider]]:
    provider = ScriptedProvider(model="owner/scripted:7b")
    async with serving(provider) as served:
        client = AsyncClient(host=served.url)
        yield client, provider
        await client._client.aclose()


async def test_embeddings(scripted: tuple[AsyncClient, ScriptedProvider]) -> None:
    client, _ = scripted
    found = await client.embed(model="owner/scripted:7b", input=["a", "b"])
    assert [list(vector) for vector in found.embeddings] == [[0.6, 0.8], [0.6, 0.8]]
    assert found.prompt_eval_count == 2
    assert list((await client.embed(model="auto", input="a", dimensions=1)).embeddings[0]) == [1.0]
    assert list((await client.embeddings(model="auto", prompt="a")).embedding) == [0.6, 0.8]


async def test_filling_a_hole_and_continuing_a_text(scripted: tuple[AsyncClient, ScriptedProvider]) -> None:
    client, provider = scripted
    assert (await client.generate(model="owner/scripted:7b", prompt="f(", suffix=")")).response == "hello world"
    assert (await client.generate(model="owner/scripted:7b", prompt="f(", raw=True)).response == "hello world"
    assert [type(request).__name__ for request in provider.requests] == ["FillRequest", "CompletionRequest"]


async def test_errors_are_raised_with_their_status(scripted: tuple[AsyncClient, ScriptedProvider]) -> None:
    client, provider = scripted
    provider.error = ContextTooLong(9000, 4096)
    with pytest.raises(ResponseError, match="maximum context length is 4096") as caught:
        await client.generate(model="auto", prompt="x")
    assert caught.value.status_code == 400
    with pytest.raises(ResponseError, match=r"options\.top_p"):
        await client.chat(model="auto", messages=HI, options={"top_p": 7})
    provider.error, provider.error_after = WorkerCrashed("the worker died"), 1
    text = ""
    with pytest.raises(ResponseError, match="the worker died"):
        async for part in await client.chat(model="auto", messages=HI, stream=True):
            text += part.message.content or ""
    assert text == "hello"


async def test_what_ghostd_has_not_is_told(scripted: tuple[AsyncClient, ScriptedProvider]) -> None:
    client, _ = scripted
    calls = (
        (501, client.create(model="x", from_="y")),
        (501, client.push("x")),
        (400, client.pull("llama3")),
        (404, client.copy("nobody", "x")),
        (404, client.delete("nobody")),
    )
    for status, call in calls:
        with pytest.raises(ResponseError) as caught:
            await call
        assert caught.value.status_code == status, caught.value


@pytest.mark.parametrize("name", list(DIALECTS))
async def test_options_that_a_service_does_not_know_are_left_out(name: str) -> None:
    """As Ollama ignores what it does not know; what shows in the reply is still refused."""
    options = {"temperature": 0.8, "top_k": 20, "min_p": 0.1, "repeat_penalty": 1.2, "typical_p": 0.7, "mirostat": 1,
               "presence_penalty": 1.5, "frequency_penalty": 1.0, "seed": 4, "num_ctx": 1024}  # fmt: skip
    async with before(name) as (client, model, _, _):
        reply = await client.chat(model=model, messages=HI, options=options, think=False)
        assert reply.message.content == "I am here"
        if name == "anthropic":
            with pytest.raises(ResponseError, match="logprobs"):
                await client.chat(model=model, messages=HI, logprobs=True)
