"""OpenAI's official Python SDK and its Responses API, on every kind of service."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import msgspec
import openai
import pytest
from matrix.scenes import JSON_REPLY, ONE_CALL
from matrix.servers import KINDS, Kind, spoken
from openai import AsyncOpenAI, OpenAI
from openai.types.responses import FunctionToolParam
from pydantic import BaseModel
from responses_harness import Door, door

from ghostd.config.settings import Config
from ghostd.engine import Engine
from ghostd.routing.registry import Registry
from ghostd.testing.scripted_upstream import Answer, ScriptedUpstream, Seen, scripted_upstream
from ghostd.testing.upstream_dialect import PROVIDER, Reply, opened
from ghostd.types import Usage

HELLO = Reply(("Héllo", " wörld"), usage=Usage(12, 5))
TOOLS: list[FunctionToolParam] = [
    {
        "type": "function",
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
        "strict": True,
    }
]


class Weather(BaseModel):
    city: str
    degrees: int


@asynccontextmanager
async def before(kind: Kind, *replies: Reply) -> AsyncIterator[tuple[Door, str, ScriptedUpstream]]:
    """A gateway before a service that gives these replies, the last one again and again."""
    dialect = kind.dialect()
    left = list(replies)

    def serve(seen: Seen) -> Answer:
        answer = spoken(dialect, seen, left.pop(0) if len(left) > 1 else left[0])
        own = b'"resp_%d", "previous_response_id": null' % len(upstream.requests)
        return replace(answer, pieces=tuple(piece.replace(b'"resp_1"', own) for piece in answer.pieces))

    async with scripted_upstream(serve) as upstream, opened(dialect, upstream) as provider:
        settings = {"providers": {PROVIDER: {"preset": "openai-compatible", "base_urls": [provider.endpoint]}}}
        engine = Engine(registry=Registry(msgspec.convert(settings, Config), (), {PROVIDER: (provider,)}))
        async with door(engine) as found:
            yield found, f"{PROVIDER}/{dialect.chat_model}", upstream
        await engine.router.close()


every_kind = pytest.mark.parametrize("kind", KINDS, ids=str)


@every_kind
async def test_a_response(kind: Kind) -> None:
    async with before(kind, HELLO) as (d, model, _):
        reply = await d.openai.responses.create(model=model, input="hi", instructions="Be brief.")
        assert reply.output_text == "Héllo wörld"
        assert (reply.status, reply.error, reply.incomplete_details) == ("completed", None, None)
        assert reply.usage
        assert (reply.usage.input_tokens, reply.usage.output_tokens, reply.usage.total_tokens) == (12, 5, 17)
        assert reply._request_id
        assert await d.openai.responses.retrieve(reply.id) == reply


@every_kind
async def test_the_stream_helper_sees_every_event(kind: Kind) -> None:
    async with before(kind, HELLO) as (d, model, _):
        text, types = "", []
        async with d.openai.responses.stream(model=model, input="hi") as stream:
            async for event in stream:
                types.append(event.type)
                if event.type == "response.output_text.delta":
                    text += event.delta
                    assert event.snapshot == text
            final = await stream.get_final_response()
        assert text == final.output_text == "Héllo wörld"
        assert types[0] == "response.created"
        assert types[-1] == "response.completed"
        assert types.count("response.output_text.delta") == 2


@every_kind
async def test_a_tool_loop_by_stored_responses(kind: Kind) -> None:
    async with before(kind, ONE_CALL, HELLO) as (d, model, upstream):
        first = await d.openai.responses.create(model=model, input="weather?", tools=TOOLS)
        (call,) = [item for item in first.output if item.type == "function_call"]
        assert (call.name, json.loads(call.arguments)) == ("weather", {"city": "Köln"})
        second = await d.openai.responses.create(
            model=model,
            tools=TOOLS,
            previous_response_id=first.id,
            input=[{"type": "function_call_output", "call_id": call.call_id, "output": "rain"}],
        )
        assert (second.output_text, second.previous_response_id) == ("Héllo wörld", first.id)
        body = upstream.requests[-1].body
        assert b"weather?" in body
        assert b"rain" in body
        items = await d.openai.responses.input_items.list(second.id)
        assert [item.type for item in items.data] == ["function_call_output"]


@every_kind
async def test_a_tool_loop_without_anything_stored(kind: Kind) -> None:
    async with before(kind, ONE_CALL, HELLO) as (d, model, _):
        said: list[Any] = [{"role": "user", "content": "weather?"}]
        include: Sequence[Any] = ["reasoning.encrypted_content"]
        first = await d.openai.responses.create(
            model=model, input=said, tools=TOOLS, store=False, include=list(include)
        )
        said += [item.model_dump(exclude_none=True) for item in first.output]
        call_id = next(item.call_id for item in first.output if item.type == "function_call")
        said.append({"type": "function_call_output", "call_id": call_id, "output": "rain"})
        second = await d.openai.responses.create(model=model, input=said, tools=TOOLS, store=False)
        assert second.output_text == "Héllo wörld"
        with pytest.raises(openai.NotFoundError):
            await d.openai.responses.retrieve(first.id)


@every_kind
async def test_a_tool_call_is_streamed(kind: Kind) -> None:
    async with before(kind, ONE_CALL) as (d, model, _):
        async with d.openai.responses.stream(model=model, input="weather?", tools=TOOLS) as stream:
            events = [event async for event in stream]
            final = await stream.get_final_response()
        done = [event for event in events if event.type == "response.function_call_arguments.done"]
        (call,) = [item for item in final.output if item.type == "function_call"]
        assert [event.arguments for event in done] == [call.arguments]
        assert call.parsed_arguments == {"city": "Köln"}


@every_kind
async def test_structured_output_is_parsed(kind: Kind) -> None:
    async with before(kind, JSON_REPLY) as (d, model, _):
        reply = await d.openai.responses.parse(model=model, input="weather?", text_format=Weather)
        assert reply.output_parsed == Weather(city="Oslo", degrees=3)


@every_kind
async def test_thoughts_come_as_a_summary(kind: Kind) -> None:
    if "openai.responses" in kind.relays or kind.name in ("openai-compatible", "llama-server"):
        pytest.skip("such a service tells its thoughts itself")
    async with before(kind, Reply(("Fine.",), usage=Usage(12, 5), reasoning=("I think ", "so."))) as (d, model, _):
        async with d.openai.responses.stream(model=model, input="hi", reasoning={"summary": "auto"}) as stream:
            types = [event.type async for event in stream]
            final = await stream.get_final_response()
        (thoughts,) = [item for item in final.output if item.type == "reasoning"]
        assert [part.text for part in thoughts.summary] == ["I think so."]
        assert "response.reasoning_summary_text.delta" in types
        assert "response.reasoning_summary_part.done" in types


def anthropic() -> Kind:
    return next(kind for kind in KINDS if kind.name == "anthropic")


async def test_stored_responses_are_deleted_and_conversations_kept() -> None:
    async with before(anthropic(), HELLO) as (d, model, _):
        client = d.openai
        conversation = await client.conversations.create(metadata={"a": "b"})
        reply = await client.responses.create(model=model, input="hi", conversation=conversation.id)
        assert reply.conversation
        assert reply.conversation.id == conversation.id
        items = await client.conversations.items.list(conversation.id, order="asc")
        assert [item.type for item in items.data] == ["message", "message"]
        added = await client.conversations.items.create(
            conversation.id, items=[{"role": "user", "content": "more", "type": "message"}]
        )
        one = await client.conversations.items.retrieve(added.data[0].id or "", conversation_id=conversation.id)
        assert one.type == "message"
        await client.conversations.items.delete(added.data[0].id or "", conversation_id=conversation.id)
        changed = await client.conversations.update(conversation.id, metadata={"c": "d"})
        assert changed.metadata == {"c": "d"}
        assert (await client.conversations.retrieve(conversation.id)).metadata == {"c": "d"}
        assert (await client.conversations.delete(conversation.id)).deleted is True
        with pytest.raises(openai.NotFoundError):
            await client.conversations.retrieve(conversation.id)
        await client.responses.delete(reply.id)
        with pytest.raises(openai.NotFoundError):
            await client.responses.retrieve(reply.id)
        many = [{"role": "user", "content": str(number)} for number in range(5)]
        reply = await client.responses.create(model=model, input=many)  # type: ignore[arg-type]
        pages = [item async for item in client.responses.input_items.list(reply.id, limit=2)]
        assert len(pages) == 5


async def test_a_response_in_the_background_is_polled_and_cancelled() -> None:
    async with before(anthropic(), HELLO) as (d, model, upstream):
        made = await d.openai.responses.create(model=model, input="hi", background=True)
        while made.status in ("queued", "in_progress"):
            made = await d.openai.responses.retrieve(made.id)
        assert (made.status, made.output_text) == ("completed", "Héllo wörld")
        upstream.serve = lambda _: Answer(ending="hang", silent=True)
        stuck = await d.openai.responses.create(model=model, input="hi", background=True)
        await upstream.requested(2)
        assert (await d.openai.responses.cancel(stuck.id)).status == "cancelled"
        await upstream.abandoned()


async def test_tokens_are_counted_and_conversations_compacted() -> None:
    async with before(anthropic(), HELLO) as (d, model, _):
        count = await d.openai.responses.input_tokens.count(model=model, input="hi " * 100)
        assert count.input_tokens > 50
        made = await d.openai.responses.compact(model=model, input="a long story")
        assert [item.type for item in made.output] == ["message", "compaction"]


async def test_errors_become_the_sdks_exceptions() -> None:
    async with before(anthropic(), HELLO) as (d, model, upstream):
        client: AsyncOpenAI = d.openai
        with pytest.raises(openai.BadRequestError) as wrong:
            await client.responses.create(model=model, input="hi", temperature=9)
        assert (wrong.value.param, wrong.value.code) == ("temperature", "invalid_value")
        with pytest.raises(openai.BadRequestError) as unknown:
            await client.responses.create(model=model, input="hi", previous_response_id="resp_x")
        assert unknown.value.code == "previous_response_not_found"
        with pytest.raises(openai.NotFoundError):
            await client.responses.create(model="nobody", input="hi")
        dialect = anthropic().dialect()
        cut = dialect.chat(HELLO)
        upstream.serve = lambda _: Answer(cut.pieces[:4], cut.status, cut.headers, ending="cut")
        with pytest.raises(openai.APIError):
            async for _ in await client.responses.create(model=model, input="hi", stream=True):
                pass


async def test_a_closed_stream_ends_its_generation() -> None:
    async with before(anthropic(), HELLO) as (d, model, upstream):
        begun = anthropic().dialect().chat(HELLO)
        upstream.serve = lambda _: replace(begun, pieces=begun.pieces[:4], ending="hang")
        stream = await d.openai.responses.create(model=model, input="hi", stream=True)
        async for event in stream:
            if event.type == "response.output_text.delta":
                break
        await stream.close()
        await upstream.abandoned()


async def test_the_synchronous_client() -> None:
    def use(base_url: str, model: str) -> None:
        with OpenAI(api_key="any", base_url=base_url, max_retries=0) as client:
            reply = client.responses.create(model=model, input="hi")
            assert reply.output_text == "Héllo wörld"
            with client.responses.stream(model=model, input="hi", previous_response_id=reply.id) as stream:
                assert stream.get_final_response().output_text == "Héllo wörld"
            assert client.responses.retrieve(reply.id).output_text == "Héllo wörld"
            assert len(client.responses.input_items.list(reply.id).data) == 1

    async with before(anthropic(), HELLO) as (d, model, _):
        await asyncio.to_thread(use, f"{d.served.url}/v1", model)
