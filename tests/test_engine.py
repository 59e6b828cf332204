"""The use cases behind every door."""

import pytest
from service_harness import service

from ghostd.completion.fill import collect
from ghostd.conversation import Message
from ghostd.engine import Engine
from ghostd.errors import InvalidRequest
from ghostd.testing.scripted import ScriptedProvider
from ghostd.types import ChatRequest, CompletionRequest, EmbedRequest, FillRequest


async def test_a_chat_is_answered_by_the_model_it_names() -> None:
    engine = Engine([ScriptedProvider(["no"], model="a"), ScriptedProvider(["yes"], model="b")])
    reply = await collect(engine.chat(ChatRequest("b", (Message("user", "hi"),))))
    assert (reply.text, reply.model) == ("yes", "b")


async def test_a_prompt_for_a_model_that_only_fills_becomes_a_hole_before_nothing() -> None:
    filler = ScriptedProvider(["x"], capabilities=frozenset(("fill",)))
    await collect(Engine([filler]).complete(CompletionRequest("scripted-model", ("a", "b"))))
    (request,) = filler.requests
    assert isinstance(request, FillRequest)
    assert (request.model, request.prefix, request.suffix) == ("scripted-model", "ab", "")


async def test_a_suffix_makes_a_hole() -> None:
    provider = ScriptedProvider(["x"])
    await collect(Engine([provider]).complete(CompletionRequest("scripted-model", ("a",), suffix="")))
    assert isinstance(provider.requests[0], FillRequest)
    await collect(Engine([provider]).complete(CompletionRequest("scripted-model", ("a",))))
    assert isinstance(provider.requests[1], CompletionRequest)


async def test_token_ids_cannot_be_filled() -> None:
    with pytest.raises(InvalidRequest, match="token ids"):
        await collect(Engine([ScriptedProvider()]).complete(CompletionRequest("scripted-model", (1, 2), suffix="x")))


async def test_embeddings_say_which_model_made_them() -> None:
    model, embeddings = await Engine([ScriptedProvider()]).embed(EmbedRequest("auto", (("a",), ("b",))))
    assert (model, embeddings.vectors) == ("scripted-model", ((0.6, 0.8), (0.6, 0.8)))


async def test_closing_a_chat_ends_the_generation() -> None:
    provider = ScriptedProvider(["a", "b"])
    stream = Engine([provider]).chat(ChatRequest("auto", (Message("user", "hi"),)))
    await anext(stream)
    await stream.aclose()
    assert provider.closed == 1


async def test_a_connection_is_had_ready_to_the_service_behind_a_model_and_to_nothing_else() -> None:
    opened: list[str] = []

    async def open_connection(base_url: str) -> None:
        opened.append(base_url)

    async with service() as behind:
        engine = Engine([ScriptedProvider()], registry=behind.engine.registry, open_connection=open_connection)
        await engine.connect(behind.model("gpt-4.1"))
        await engine.connect("nobody/nothing")
        assert opened == [f"{behind.upstream.url}/base"]
        assert [filler.connects for filler in engine.fillers(behind.model("gpt-4.1"))] == [True]
        await behind.engine.connect(behind.model("gpt-4.1"))  # which opens none
    await Engine([ScriptedProvider()], open_connection=open_connection).connect("scripted-model")
    assert len(opened) == 1
