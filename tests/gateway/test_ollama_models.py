"""Embeddings, names, lists and descriptions of models in Ollama's dialect."""

from __future__ import annotations

from typing import Any

import pytest
from gateway_harness import Gateway, gateway
from ollama_harness import CHAT, EMBED, HELLO, ONE, ask, refused, sent
from routing_harness import upstream

from ghostd.models import ModelInfo
from ghostd.testing.scripted import Step
from ghostd.types import ChatRequest, Embeddings, EmbedRequest, Relayed, RelayRequest, Usage

VECTORS: list[Step] = [Embeddings(((0.6, 0.8, 0.0), (0.0, 0.0, 1.0)), Usage(7, 0))]


async def test_texts_are_embedded() -> None:
    reply = (await ask(EMBED, VECTORS, input=["a", "b"])).json
    assert reply["embeddings"] == [[0.6, 0.8, 0.0], [0.0, 0.0, 1.0]]
    assert (reply["model"], reply["prompt_eval_count"]) == ("a/m", 7)
    request = await sent(EMBED, VECTORS, input="a")
    assert isinstance(request, EmbedRequest)
    assert request.inputs == (("a",),)


async def test_vectors_are_shortened_to_unit_length() -> None:
    reply = (await ask(EMBED, VECTORS, input=["a", "b"], dimensions=2)).json
    assert reply["embeddings"] == [[0.6, 0.8], [0.0, 0.0]]
    reply = (await ask(EMBED, VECTORS, input=["a", "b"], dimensions=1)).json
    assert reply["embeddings"][0] == [1.0]
    assert (await ask(EMBED, VECTORS, input=["a", "b"], dimensions=99)).json["embeddings"][0] == [0.6, 0.8, 0.0]


async def test_the_older_call_embeds_one_prompt() -> None:
    assert (await ask("/api/embeddings", VECTORS, prompt="a")).json == {"embedding": [0.6, 0.8, 0.0]}


async def test_no_text_has_no_vector() -> None:
    async with gateway(ONE, a := upstream("a", VECTORS, relays=())) as g:
        for given in ("", list[str](), None):
            assert (await g.post(EMBED, None, input=given)).json == {"model": "r", "embeddings": []}
        assert (await g.post("/api/embeddings", None, prompt="")).json == {"embedding": []}
        assert a.asked == []
        g.world.calls = 0


@pytest.mark.parametrize(
    ("fields", "name"),
    [({"input": 5}, "input"), ({"input": [1, 2]}, "input[0]"), ({"input": ["a", ""]}, "input"),
     ({"input": ["a"] * 2049}, "input"), ({"input": "a", "dimensions": -1}, "dimensions"),
     ({"input": "a", "dimensions": "2"}, "dimensions"), ({"input": "a", "truncate": 1}, "truncate"),
     ({"input": "a", "options": {"num_ctx": -1}}, "options.num_ctx"),
     ({"input": "a", "keep_alive": "x"}, "keep_alive")],
)  # fmt: skip
async def test_what_is_wrong_with_inputs_is_named(fields: dict[str, Any], name: str) -> None:
    assert name in await refused(EMBED, **fields)


def listed(g: Gateway) -> Any:
    return g.client.get(g.served.url + "/api/tags")


async def test_every_model_is_listed_in_the_form_of_ollama() -> None:
    a = upstream("a", HELLO, models=("m", "org/x:7b"))
    async with gateway(ONE, a) as g, listed(g) as reply:
        models = {model["name"]: model for model in (await reply.json())["models"]}
        assert {"a/m", "a/org/x:7b", "r", "auto", "fast", "smart", "code", "local"} <= models.keys() | {"local"}
        for model in models.values():
            assert model["model"] == model["name"]
            assert sorted(model) == ["details", "digest", "model", "modified_at", "name", "size"]
            assert len(bytes.fromhex(model["digest"])) == 32
            assert sorted(model["details"]) == [
                "families", "family", "format", "parameter_size", "parent_model", "quantization_level",
            ]  # fmt: skip


@pytest.mark.parametrize("created", [10**18, -(10**18), 1_748_772_000_000])
async def test_a_date_that_no_calendar_has_hinders_nothing(created: int) -> None:
    info = ModelInfo("m", "a", frozenset(("chat",)), created=created)
    async with gateway(ONE, upstream("a", HELLO, info=info)) as g, listed(g) as reply:
        (tag,) = [model for model in (await reply.json())["models"] if model["name"] == "a/m"]
        assert tag["modified_at"] == "1970-01-01T00:00:00.000000Z"


async def test_what_an_ollama_server_says_of_its_models_is_listed() -> None:
    digest = "500a1f067a9f782620b40bee6f7b0c89e17ae61f686b92c24933e4ca4b2b8b41"
    info = ModelInfo(
        "m", "ollama", frozenset(("chat",)), created=1_748_772_000, size_bytes=5_225_388_164, family="qwen3",
        parameter_size="8.2B", quantization="Q4_K_M", digest=digest,
    )  # fmt: skip
    async with gateway(ONE, upstream("a", HELLO, info=info)) as g, listed(g) as reply:
        (tag,) = [model for model in (await reply.json())["models"] if model["name"] == "a/m"]
        assert (tag["digest"], tag["size"], tag["modified_at"]) == (
            digest,
            5_225_388_164,
            "2025-06-01T10:00:00.000000Z",
        )
        assert tag["details"] == {
            "parent_model": "",
            "format": "gguf",
            "family": "qwen3",
            "families": ["qwen3"],
            "parameter_size": "8.2B",
            "quantization_level": "Q4_K_M",
        }


@pytest.mark.parametrize(
    "name",
    [
        "r",
        "r:latest",
        "a/m",
        "a/m:latest",
        "a/org/x:7b",
        "m",
        "m:latest",
        "b",
        "b:latest",
        "A/M",
        "A/Org/X:7B",
        "R:Latest",
    ],
)
async def test_names_mean_the_same_with_and_without_latest(name: str) -> None:
    a = upstream("a", HELLO, models=("m", "org/x:7b", "b:latest"), relays=())
    async with gateway(ONE, a) as g:
        assert (await g.post(CHAT, None, model=name)).status == 200


async def test_a_service_that_lists_nothing_is_asked_for_the_name_without_latest() -> None:
    async with gateway("", a := upstream("a", HELLO, models=(), open_ended=True, relays=())) as g:
        for name, model in (("a/x:latest", "x"), ("a/x", "x"), ("a/x:free", "x:free")):
            assert (await g.post(CHAT, None, model=name)).status == 200
            assert isinstance(request := a.asked[-1], ChatRequest)
            assert request.model == model
    async with gateway("", a := upstream("a", HELLO, models=("x:latest",), open_ended=True, relays=())) as g:
        await g.post(CHAT, None, model="a/x:latest")
        assert isinstance(request := a.asked[-1], ChatRequest)
        assert request.model == "x:latest"
    own = upstream("a", [Relayed(b"{}", True)], models=(), open_ended=True, relays=("ollama.chat",))
    async with gateway("", own) as g:
        await g.post(CHAT, None, model="a/x:latest")
        assert isinstance(relayed := own.asked[-1], RelayRequest)
        assert relayed.model == "x:latest"


@pytest.mark.parametrize("name", ["r:7b", "a/m:7b", "x", "b:7b", ":latest", "latest"])
async def test_another_tag_is_another_model(name: str) -> None:
    async with gateway(ONE, upstream("a", HELLO, models=("m", "org/x:7b", "b:latest"), relays=())) as g:
        assert (await g.post(CHAT, None, model=name)).status == 404


async def test_show_tells_what_a_model_can_do() -> None:
    info = ModelInfo(
        "m",
        "acme",
        frozenset(("chat", "complete", "fill")),
        context_tokens=8192,
        features=frozenset(("tools", "reasoning")),
    )
    async with gateway(ONE, upstream("a", HELLO, info=info)) as g:
        for body in ({"model": "a/m"}, {"name": "a/m:latest"}):
            async with g.client.post(g.served.url + "/api/show", json=body) as reply:
                shown = await reply.json()
        assert shown["capabilities"] == ["completion", "tools", "insert", "thinking"]
        assert shown["model_info"]["general.architecture"] == "acme"
        assert shown["model_info"]["acme.context_length"] == 8192
        assert {"details", "modified_at", "template", "modelfile", "parameters"} <= shown.keys()
        for wrong, status in (({"model": "nobody"}, 404), ({}, 400), ({"model": 5}, 400)):
            async with g.client.post(g.served.url + "/api/show", json=wrong) as reply:
                assert reply.status == status
                assert list(await reply.json()) == ["error"]


@pytest.mark.covers("ollama.models", "/api/version")
async def test_signs_of_life() -> None:
    async with gateway(ONE, upstream("a", HELLO)) as g:
        async with g.client.get(g.served.url + "/") as reply:
            assert (reply.status, await reply.text()) == (200, "Ollama is running")
        for path in ("/", "/api/version", "/api/tags"):
            async with g.client.head(g.served.url + path) as reply:
                assert reply.status == 200
        async with g.client.get(g.served.url + "/api/version") as reply:
            major, minor, _ = (await reply.json())["version"].split(".")
            assert (int(major), int(minor)) >= (0, 6)
        async with g.client.get(g.served.url + "/api/ps") as reply:
            assert await reply.json() == {"models": []}
