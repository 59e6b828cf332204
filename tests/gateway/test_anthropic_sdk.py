"""Anthropic's official Python SDK, unchanged, in front of every kind of service and of a local model."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anthropic
import pydantic
import pytest
from anthropic import AsyncAnthropic, beta_async_tool
from anthropic.types import MessageParam, ToolParam
from gateway_harness import gateway
from matrix.servers import KINDS, Place, place, spoken
from routing_harness import USAGE, hanging, upstream

from ghostd.conversation import ToolCall
from ghostd.errors import ContextTooLong, ModelUnavailable, RateLimited, UpstreamUnreachable
from ghostd.testing.scripted import Step
from ghostd.testing.scripted_upstream import json_answer
from ghostd.testing.upstream_dialect import Reply
from ghostd.types import Delta, Usage

HI: list[MessageParam] = [{"role": "user", "content": "hi"}]
WEATHER: ToolParam = {
    "name": "weather",
    "description": "Tells the weather.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
CALLS = (ToolCall("call_1", "weather", '{"city":"Oslo"}'), ToolCall("call_2", "weather", '{"city":"Rome"}'))
PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
ONE = 'routes.r.deployments = ["a/m"]'


@asynccontextmanager
async def sdk(url: str, **more: Any) -> AsyncIterator[AsyncAnthropic]:
    settings: dict[str, Any] = {"api_key": "any", "base_url": url, "max_retries": 0, "timeout": 20} | more
    async with AsyncAnthropic(**settings) as made:
        yield made


@pytest.fixture(params=KINDS, ids=str)
async def there(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """A gateway before one kind of service."""
    async with asyncio.timeout(30), place(request.param, tmp_path) as found:
        yield found


@pytest.fixture
async def client(there: Place) -> AsyncIterator[AsyncAnthropic]:
    async with sdk(there.served.url) as made:
        yield made


async def test_a_message(there: Place, client: AsyncAnthropic) -> None:
    there.answers(Reply(("Hello", " wor", "ld"), usage=Usage(12, 5)))
    reply = await client.messages.create(model=there.model, max_tokens=50, system="Be brief.", messages=HI)
    assert [block.text for block in reply.content if block.type == "text"] == ["Hello world"]
    assert (reply.type, reply.role, reply.stop_reason, reply.stop_sequence) == (
        "message",
        "assistant",
        "end_turn",
        None,
    )
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (12, 5)
    assert reply._request_id


async def test_the_stream_helper_makes_the_same_message(there: Place, client: AsyncAnthropic) -> None:
    there.answers(Reply(("Hello", " wor", "ld"), "length", Usage(12, 5)))
    async with client.messages.stream(model=there.model, max_tokens=50, messages=HI) as stream:
        texts = [text async for text in stream.text_stream]
        message = await stream.get_final_message()
    assert texts == ["Hello", " wor", "ld"]
    assert (message.stop_reason, message.usage.input_tokens, message.usage.output_tokens) == ("max_tokens", 12, 5)


async def test_a_loop_of_parallel_tools(there: Place, client: AsyncAnthropic) -> None:
    there.answers(Reply((), "tool_calls", tool_calls=CALLS))
    said = list(HI)
    async with client.messages.stream(model=there.model, max_tokens=50, messages=said, tools=[WEATHER]) as stream:
        message = await stream.get_final_message()
    calls = [block for block in message.content if block.type == "tool_use"]
    assert [(call.name, call.input) for call in calls] == [("weather", {"city": "Oslo"}), ("weather", {"city": "Rome"})]
    assert message.stop_reason == "tool_use"
    whole = await client.messages.create(model=there.model, max_tokens=50, messages=said, tools=[WEATHER])
    assert [block.input for block in whole.content if block.type == "tool_use"] == [call.input for call in calls]
    said.append({"role": "assistant", "content": message.content})
    said.append(
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": call.id, "content": f"{number} degrees"}
                for number, call in enumerate(calls)
            ],
        }
    )
    there.answers(Reply(("Cold.",)))
    reply = await client.messages.create(model=there.model, max_tokens=50, messages=said, tools=[WEATHER])
    assert reply.content[0].type == "text"
    assert [past.result for past in there.asked.past] == ["0 degrees", "1 degrees"]


async def test_the_beta_methods(there: Place, client: AsyncAnthropic) -> None:
    there.answers(Reply(("Hello",)))
    reply = await client.beta.messages.create(
        model=there.model,
        max_tokens=2000,
        messages=[{"role": "user", "content": "hi"}],
        betas=["context-management-2025-06-27", "something-newer-2031-01-01"],
        context_management={"edits": [{"type": "clear_tool_uses_20250919"}]},
    )
    assert reply.content[0].type == "text"
    async with client.beta.messages.stream(
        model=there.model, max_tokens=2000, messages=[{"role": "user", "content": "hi"}], betas=["x-2031-01-01"]
    ) as stream:
        assert (await stream.get_final_message()).stop_reason == "end_turn"


@beta_async_tool
async def temperature(city: str) -> str:
    """Tells the temperature."""
    return f"{city}: -3"


async def test_the_tool_runner(there: Place, client: AsyncAnthropic) -> None:
    """It asks for a thread that the service holds, and sends the whole conversation where there is none."""
    call = ToolCall("call_1", "temperature", '{"city":"Oslo"}')
    replies = [Reply((), "tool_calls", tool_calls=(call,)), Reply(("Cold.",))]
    there.upstream.serve = lambda seen: spoken(there.dialect, seen, replies[len(there.upstream.requests) - 1])
    runner = client.beta.messages.tool_runner(
        model=there.model, max_tokens=50, tools=[temperature], messages=[{"role": "user", "content": "hi"}]
    )
    message = await runner.until_done()
    assert [block.text for block in message.content if block.type == "text"] == ["Cold."]
    if there.kind.name == "anthropic":
        assert there.upstream.requests[1].json["thread"]["type"] == "continue"
        return
    assert there.asked.prompt == "hi"
    assert [(past.name, past.result) for past in there.asked.past] == [("temperature", "Oslo: -3")]


class City(pydantic.BaseModel):
    """A city."""

    city: str


async def test_a_parsed_reply(there: Place, client: AsyncAnthropic) -> None:
    there.answers(Reply(('{"city":', '"Oslo"}')))
    reply = await client.messages.parse(model=there.model, max_tokens=50, messages=HI, output_format=City)
    assert reply.parsed_output == City(city="Oslo")
    assert there.asked.schema or there.kind.name == "mistral"


async def test_tokens_are_counted(there: Place, client: AsyncAnthropic) -> None:
    there.upstream.serve = lambda seen: (
        json_answer({"input_tokens": 4711})
        if seen.path.endswith("count_tokens")
        else spoken(there.dialect, seen, Reply())
    )
    found = await client.messages.count_tokens(model=there.model, messages=HI, system="Be brief.", tools=[WEATHER])
    if there.kind.name == "anthropic":
        assert found.input_tokens == 4711
        assert there.upstream.requests[-1].path.endswith("/v1/messages/count_tokens")
    else:
        assert 10 < found.input_tokens < 200
        asked = [seen.path.rpartition("/")[2].rpartition(":")[2] for seen in there.upstream.requests]
        assert asked == {"gemini": ["countTokens"], "llama-server": ["apply-template"]}.get(there.kind.name, [])


async def test_models_are_listed_page_by_page(there: Place, client: AsyncAnthropic) -> None:
    names = [model.id async for model in client.models.list(limit=1)]
    assert there.model in names
    assert len(names) == len(set(names))
    found = await client.models.retrieve(there.model)
    assert (found.type, found.id, found.lifecycle) == ("model", there.model, "active")
    assert found.created_at.year >= 1970
    with pytest.raises(anthropic.NotFoundError):
        await client.models.retrieve("nobody")


async def test_a_cancelled_stream_frees_the_service(there: Place, client: AsyncAnthropic) -> None:
    answer = there.dialect.serve
    there.upstream.serve = answer
    endless: list[MessageParam] = [{"role": "user", "content": "endless"}]
    async with client.messages.stream(model=there.model, max_tokens=50, messages=endless) as stream:
        async for text in stream.text_stream:
            assert text == "Hello"
            break
    await there.upstream.abandoned()


# --- independent of the service ------------------------------------------------------------------


async def test_every_way_to_send_a_key_is_taken() -> None:
    script: list[Step] = [Delta("x"), Delta(finish_reason="stop", usage=USAGE)]
    async with gateway(ONE, upstream("a", script, relays=())) as g:
        for more in ({"api_key": "any"}, {"api_key": None, "auth_token": "any"}):
            async with sdk(g.served.url, **more) as client:
                await client.messages.create(model="r", max_tokens=5, messages=HI)
                g.world.calls += 1


async def test_images_in_the_results_of_tools() -> None:
    script: list[Step] = [Delta("x"), Delta(finish_reason="stop", usage=USAGE)]
    async with gateway(ONE, a := upstream("a", script, relays=())) as g, sdk(g.served.url) as client:
        g.world.calls += 1
        await client.messages.create(
            model="r",
            max_tokens=5,
            tools=[WEATHER],
            messages=[
                *HI,
                {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "weather", "input": {}}]},
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "tool_result",
                            "tool_use_id": "t1",
                            "content": [
                                {
                                    "type": "image",
                                    "source": {"type": "base64", "media_type": "image/png", "data": PIXEL},
                                }
                            ],
                        }
                    ],
                },
            ],
        )
        assert PIXEL in str(a.asked[0])


@pytest.mark.parametrize(
    ("error", "kind", "status"),
    [
        (ContextTooLong(9000, 8192), anthropic.BadRequestError, 400),
        (RateLimited("slowly", retry_after_s=2.0), anthropic.RateLimitError, 429),
        (ModelUnavailable("it rests", 2.0), anthropic.OverloadedError, 529),
        (UpstreamUnreachable("gone"), anthropic.InternalServerError, 502),
    ],
    ids=["context", "rate", "rests", "unreachable"],
)
async def test_errors_become_the_sdks_own(error: Any, kind: type[anthropic.APIStatusError], status: int) -> None:
    settings = f"{ONE}\nrouting.max_attempts = 1"
    async with gateway(settings, upstream("a", [error], relays=())) as g, sdk(g.served.url) as client:
        g.world.calls += 1
        with pytest.raises(kind) as caught:
            await client.messages.create(model="r", max_tokens=5, messages=HI)
    assert caught.value.status_code == status
    assert caught.value.request_id
    assert caught.value.api_message
    assert caught.value.type


async def test_an_error_amid_a_stream_is_raised() -> None:
    script: list[Step] = [Delta("half"), UpstreamUnreachable("reset by peer")]
    async with gateway(ONE, upstream("a", script, relays=())) as g, sdk(g.served.url) as client:
        g.world.calls += 1
        with pytest.raises(anthropic.APIStatusError, match="reset by peer"):
            async with client.messages.stream(model="r", max_tokens=5, messages=HI) as stream:
                await stream.get_final_message()


async def test_a_cancelled_call_frees_the_upstream_before_its_first_byte() -> None:
    async with gateway(ONE, a := upstream("a", hanging(), relays=())) as g, sdk(g.served.url) as client:
        g.world.calls += 1
        task = asyncio.create_task(client.messages.create(model="r", max_tokens=5, messages=HI))
        await a.until_asked()
        task.cancel()
        await a.until_closed()


def test_the_synchronous_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a thread of its own, as a script would use it."""

    def use(url: str) -> tuple[str, list[str]]:
        with anthropic.Anthropic(api_key="any", base_url=url, max_retries=0, timeout=20) as client:
            reply = client.messages.create(model="r", max_tokens=5, messages=HI)
            with client.messages.stream(model="r", max_tokens=5, messages=HI) as stream:
                texts = list(stream.text_stream)
        return json.dumps([block.to_dict() for block in reply.content]), texts

    async def main() -> None:
        script: list[Step] = [Delta("one "), Delta("two"), Delta(finish_reason="stop", usage=USAGE)]
        async with gateway(ONE, upstream("a", script, relays=())) as g:
            g.world.calls += 2
            content, texts = await asyncio.to_thread(use, g.served.url)
        assert json.loads(content) == [{"type": "text", "text": "one two"}]
        assert texts == ["one ", "two"]

    asyncio.run(main())
