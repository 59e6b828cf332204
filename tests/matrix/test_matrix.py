"""Every dialect of clients before every kind of service: what is asked arrives, and what is said is understood."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from matrix.clients import CLIENTS, Client
from matrix.scenes import (
    CUT,
    HELLO,
    JSON_REPLY,
    LOOP,
    ONE_CALL,
    PIXEL,
    TWO_CALLS,
    Ask,
    Heard,
    heard,
)
from matrix.servers import KINDS, Kind, Place, place

from ghostd.testing.upstream_dialect import Reply
from ghostd.types import Usage

TOOLS = Ask(prompt="What is the weather?", tools=("weather", "clock"))


@pytest.fixture(params=KINDS, ids=str)
async def there(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """A gateway before one kind of service."""
    kind: Kind = request.param
    async with asyncio.timeout(30), place(kind, tmp_path) as found:
        yield found


@pytest.fixture(params=CLIENTS, ids=str)
def client(request: pytest.FixtureRequest) -> Client:
    """One dialect."""
    found: Client = request.param
    return found


async def ask(there: Place, client: Client, wanted: Ask, *, stream: bool, **more: object) -> Heard:
    """What the client understands."""
    status, data = await post(there, client, wanted, stream=stream, **more)
    assert status == 200, data
    if stream:
        return client.streamed(data)

    return client.whole(json.loads(data))


async def post(there: Place, client: Client, wanted: Ask, *, stream: bool, **more: object) -> tuple[int, bytes]:
    body = client.body(wanted, there.model, stream=stream) | more
    async with (
        aiohttp.ClientSession(headers=client.headers) as session,
        session.post(there.served.url + client.path, json=body) as reply,
    ):
        return reply.status, await reply.read()


def same(found: Heard, wanted: Heard, *, stream: bool) -> None:
    assert replace(found, pieces=0) == replace(wanted, pieces=0)
    if stream and len(wanted.text) > 1:
        assert found.pieces == wanted.pieces, "pieces were joined, or held back"


def needs(client: Client, *traits: str) -> None:
    if not client.can >= set(traits):
        pytest.skip(f"the dialect has no {traits}")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("reply", [HELLO, CUT], ids=["stop", "length"])
async def test_a_plain_conversation(there: Place, client: Client, stream: bool, reply: Reply) -> None:
    there.answers(reply)
    wanted = Ask(system="Be brief.")
    found = await ask(there, client, wanted, stream=stream)
    same(found, heard(reply), stream=stream)
    assert there.asked == wanted
    seen = there.upstream.requests[-1]
    assert there.dialect.model(seen) == there.dialect.chat_model
    [row] = there.ledger.rows
    assert (row.status, row.prompt_tokens, row.completion_tokens) == ("ok", 12, 5)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("reply", [ONE_CALL, TWO_CALLS], ids=["one", "parallel"])
async def test_the_model_calls_tools(there: Place, client: Client, stream: bool, reply: Reply) -> None:
    needs(client, "tools")
    there.answers(reply)
    found = await ask(there, client, TOOLS, stream=stream)
    same(found, heard(reply), stream=stream)
    assert there.asked == TOOLS


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_results_of_parallel_calls_go_back(there: Place, client: Client, stream: bool) -> None:
    needs(client, "tools")
    there.answers(HELLO)
    same(await ask(there, client, LOOP, stream=stream), heard(HELLO), stream=stream)
    asked = there.asked
    assert [replace(call, id="") for call in asked.past] == [replace(call, id="") for call in LOOP.past]
    assert replace(asked, past=()) == replace(LOOP, past=())
    assert len({call.id for call in asked.past}) == len(asked.past) or not asked.past[0].id


async def test_an_image_arrives(there: Place, client: Client) -> None:
    needs(client, "image")
    there.answers(HELLO)
    wanted = Ask(image=PIXEL)
    same(await ask(there, client, wanted, stream=False), heard(HELLO), stream=False)
    assert there.asked == wanted


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_schema_arrives(there: Place, client: Client, stream: bool) -> None:
    needs(client, "schema")
    there.answers(JSON_REPLY)
    wanted = Ask(schema=True)
    same(await ask(there, client, wanted, stream=stream), heard(JSON_REPLY), stream=stream)
    assert there.asked == wanted


async def test_stop_strings_arrive(there: Place, client: Client) -> None:
    needs(client, "stop")
    there.answers(HELLO)
    wanted = Ask(stop=("\n\n", "END"))
    await ask(there, client, wanted, stream=False)
    if client.operation == "anthropic.messages" and there.kind.name != "anthropic":
        # The Messages API tells which one it was; a service that does not is not sent them: ghostd watches for them.
        wanted = replace(wanted, stop=())
    assert there.asked == wanted


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_the_messages_api_tells_the_stop_string(there: Place, client: Client, stream: bool) -> None:
    if client.operation != "anthropic.messages" or there.kind.name == "anthropic":
        pytest.skip("the service's own answer")
    there.answers(Reply(("One. ", "EN", "D two."), usage=Usage(12, 5)))
    found = await ask(there, client, Ask(stop=("\n\n", "END")), stream=stream)
    assert found.text == "One. "


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_thoughts_are_heard(there: Place, client: Client, stream: bool) -> None:
    if there.kind.name == "openai" and client.operation.startswith("openai."):
        pytest.skip("OpenAI shows no thoughts")
    reply = Reply(("Fine.",), usage=Usage(12, 5), reasoning=("I think ", "so."))
    there.answers(reply)
    # Clients of the Messages API hear thoughts once they have asked for them.
    more = {"thinking": {"type": "adaptive"}} if client.operation == "anthropic.messages" else {}
    found = await ask(there, client, Ask(), stream=stream, **more)
    if there.kind.name == "mistral" and client.operation == "openai.chat":
        assert found.text == "Fine."  # relayed: its thoughts are parts of the content
        return
    same(found, heard(reply), stream=stream)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(("status", "told"), [(400, 400), (401, 502), (429, 429), (500, 502), (503, 502)])
async def test_an_error_is_told_in_the_clients_words(
    there: Place, client: Client, stream: bool, status: int, told: int
) -> None:
    headers = {"retry-after": "7"} if status == 429 else {}
    there.upstream.serve = lambda _: there.dialect.error(status, "that went wrong", headers=headers)
    found, data = await post(there, client, Ask(), stream=stream)
    assert found == told, data
    assert "that went wrong" in client.error(_decoded(data))
    [row] = there.ledger.rows
    assert row.status != "ok"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_prompt_that_is_too_long_is_told_as_such(there: Place, client: Client, stream: bool) -> None:
    there.upstream.serve = lambda _: there.dialect.error(400, "this model's context is too small", kind="context")
    status, data = await post(there, client, Ask(), stream=stream)
    assert status == 400
    message = client.error(_decoded(data))
    if client.operation.startswith("openai.") and there.kind.name != "mistral":
        relayed = client.operation in there.kind.relays and there.kind.name == "llama-server"
        assert relayed or _decoded(data)["error"]["code"] == "context_length_exceeded"
    assert message


async def test_a_stream_that_fails_ends_with_an_error(there: Place, client: Client) -> None:
    if client.operation == "openai.responses" and client.operation in there.kind.relays:
        pytest.skip("the scripted service's broken streams are those of conversations")
    answer = there.dialect.chat(HELLO)
    first = next(
        number for number, piece in enumerate(answer.pieces) if "Héllo".encode() in piece or b"H\\u00e9" in piece
    )
    event = there.dialect.error_event("overloaded")
    there.upstream.serve = lambda _: replace(answer, pieces=(*answer.pieces[: first + 1], event))
    status, data = await post(there, client, Ask(), stream=True)
    [row] = there.ledger.rows
    if status == 502:  # both came in one piece, so that nothing had been said yet
        assert client.error(_decoded(data))
        assert row.status == "error"
        return
    assert status == 200, data
    assert client.failed(data)
    assert row.status == "partial"


@pytest.mark.parametrize("begun", [True, False], ids=["amid", "before"])
async def test_a_client_that_leaves_frees_the_service(there: Place, client: Client, begun: bool) -> None:
    if client.operation == "openai.responses" and client.operation in there.kind.relays:
        pytest.skip("the scripted service's endless streams are those of conversations")
    answer = there.dialect.chat(HELLO)
    first = next(
        number for number, piece in enumerate(answer.pieces) if "Héllo".encode() in piece or b"H\\u00e9" in piece
    )
    pieces = answer.pieces[: first + 1] if begun else ()
    there.upstream.serve = lambda _: replace(answer, pieces=pieces, ending="hang", silent=not begun)
    body = client.body(Ask(), there.model, stream=True)
    async with aiohttp.ClientSession(headers=client.headers) as session:
        asking = asyncio.create_task(session.post(there.served.url + client.path, json=body))
        if begun:
            reply = await asking
            await reply.content.readany()
            reply.close()
        else:
            await there.upstream.requested()
            asking.cancel()
            await asyncio.wait([asking])
    await there.upstream.abandoned()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_fields_newer_than_ghostd_survive_in_the_same_dialect(there: Place, client: Client, stream: bool) -> None:
    if client.operation not in there.kind.relays:
        pytest.skip("it is translated")
    there.answers(HELLO)
    await ask(there, client, Ask(), stream=stream, newer_field={"deep": [1, None]})
    assert there.upstream.requests[-1].json["newer_field"] == {"deep": [1, None]}


def _decoded(data: bytes) -> Any:

    return json.loads(data)
