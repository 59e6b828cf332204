"""`GET /openapi.json`: it has every route, and what it says of replies is what comes."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any

import aiohttp
import msgspec
import pytest

from ghostd.config.files import FilesConfig
from ghostd.config.responses import ResponsesConfig
from ghostd.engine import Engine
from ghostd.gateway.dialects.openai import replies
from ghostd.gateway.dialects.responses.doors import responses_doors
from ghostd.gateway.doc import Doc
from ghostd.gateway.doors import batch_doors, file_doors, project_doors, public_routes, symbol_doors
from ghostd.gateway.openapi.document import document, template
from ghostd.gateway.openapi.schemas import Schemas
from ghostd.gateway.routes import Route
from ghostd.testing.gateway import serving
from ghostd.testing.scripted import ScriptedProvider

NOBODY: Any = None


def all_routes() -> list[Route]:
    """What a daemon serves on its public address; nothing behind the doors is needed to list them."""

    async def opened() -> list[Route]:
        engine = Engine([])
        async with responses_doors(engine, None, ResponsesConfig()) as responses:
            files = [file_doors(NOBODY, FilesConfig()), batch_doors(NOBODY), symbol_doors(NOBODY)]
            files.append(project_doors(NOBODY))
            return public_routes(engine, dict, [*responses, *files]).all()

    return asyncio.run(opened())


ROUTES = all_routes()
USER = {"role": "user", "content": "hi"}


def test_every_route_of_the_public_address_is_documented() -> None:
    assert [(route.method, route.path) for route in ROUTES if route.doc is None] == []


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(document(ROUTES))
    return found


def test_the_document_has_what_is_offered_and_nothing_else(described: dict[str, Any]) -> None:
    there = {(method.upper(), path) for path, methods in described["paths"].items() for method in methods}
    offered = {(route.method, template(route)) for route in ROUTES if route.doc and not route.doc.absent}
    assert there == offered
    assert {("POST", "/v1/chat/completions"), ("POST", "/v1/responses"), ("POST", "/v1/batches")} <= there
    assert ("GET", "/v1/models/{id}") in there
    assert not any(path.startswith("/v1/fine_tuning") for _, path in there)


def walk(value: Any) -> Iterator[Any]:
    yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from walk(inner)


def test_references_lead_somewhere_and_operations_have_names_of_their_own(described: dict[str, Any]) -> None:
    for value in walk(described):
        if isinstance(value, dict) and isinstance(reference := value.get("$ref"), str):
            found = described
            for part in reference.removeprefix("#/").split("/"):
                found = found[part]
    ids = [operation["operationId"] for methods in described["paths"].values() for operation in methods.values()]
    assert len(set(ids)) == len(ids)
    for path, methods in described["paths"].items():
        for operation in methods.values():
            assert operation["summary"]
            assert not operation["summary"].endswith(".")
            named = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
            assert named == set(re.findall(r"{(\w+)}", path))


def test_bounds_and_words_are_those_that_are_checked(described: dict[str, Any]) -> None:
    body = described["components"]["schemas"]["ChatBody"]["properties"]
    assert {"type": "number", "minimum": 0, "maximum": 2} in body["temperature"]["anyOf"]
    assert {"type": "integer", "minimum": 1, "maximum": 128} in body["n"]["anyOf"]
    efforts = {"type": "string", "enum": ["none", "minimal", "low", "medium", "high", "xhigh"]}
    assert efforts in body["reasoning_effort"]["anyOf"]
    assert described["components"]["schemas"]["ChatBody"]["required"] == ["model", "messages"]


async def test_it_is_served_with_the_doors_that_are_added() -> None:
    async def handler(exchange: Any) -> Any:
        return exchange.json(b"{}")

    door = Route("GET", "/door", handler, doc=Doc("A door", "ghostd"))
    async with (
        serving(ScriptedProvider(), doors=[door]) as served,
        aiohttp.ClientSession() as client,
        client.get(served.url + "/openapi.json") as reply,
    ):
        assert (reply.status, reply.headers["Content-Type"]) == (200, "application/json")
        told = await reply.json()
    assert told["openapi"] == "3.1.0"
    assert told["paths"]["/door"]["get"]["summary"] == "A door"
    assert "/openapi.json" in told["paths"]


KNOWN: list[tuple[str, str, dict[str, Any] | None, type[msgspec.Struct]]] = [
    ("GET", "/v1/models", None, replies.ModelsReply),
    ("GET", "/v1/models/auto", None, replies.ModelReply),
    ("POST", "/v1/chat/completions", {"messages": [USER], "n": 2}, replies.ChatReply),
    ("POST", "/v1/completions", {"prompt": "x", "n": 2}, replies.CompletionReply),
    ("POST", "/v1/embeddings", {"input": ["x"]}, replies.EmbeddingsReply),
    ("POST", "/v1/embeddings", {"input": "x", "encoding_format": "base64"}, replies.EmbeddingsReply),
    ("POST", "/v1/chat/completions", {"messages": 1}, replies.ErrorReply),
    ("POST", "/v1/nowhere", {}, replies.ErrorReply),
]


@pytest.mark.parametrize(("method", "path", "body", "kind"), KNOWN)
async def test_replies_have_the_members_that_are_documented(
    method: str, path: str, body: dict[str, Any] | None, kind: type[msgspec.Struct]
) -> None:
    sent = None if body is None else {"model": "scripted-model", **body}
    async with (
        serving(ScriptedProvider()) as served,
        aiohttp.ClientSession() as client,
        client.request(method, served.url + path, json=sent) as reply,
    ):
        raw = await reply.read()
    assert_known(msgspec.json.decode(raw), msgspec.json.decode(raw, type=kind))


async def test_events_have_the_members_that_are_documented() -> None:
    body = {"messages": [USER], "stream": True, "stream_options": {"include_usage": True}}
    for path, fields, kind in (
        ("/v1/chat/completions", body, replies.ChatChunk),
        ("/v1/completions", {"prompt": "x", "stream": True}, replies.CompletionReply),
    ):
        async with (
            serving(ScriptedProvider()) as served,
            aiohttp.ClientSession() as client,
            client.post(served.url + path, json={"model": "auto", **fields}) as reply,
        ):
            events = (await reply.text()).split("\n\n")[:-2]
        for event in events:
            data = event.removeprefix("data: ").encode()
            assert_known(msgspec.json.decode(data), msgspec.json.decode(data, type=kind))


def assert_known(raw: Any, struct: Any) -> None:
    """Every member that came is one of the struct's."""
    if isinstance(struct, msgspec.Struct):
        for name, value in raw.items():
            assert hasattr(struct, name), f"{type(struct).__name__} has no '{name}'"
            assert_known(value, getattr(struct, name))
    elif isinstance(struct, list):
        for one, other in zip(raw, struct, strict=True):
            assert_known(one, other)


def test_a_type_that_json_does_not_have_is_told() -> None:
    with pytest.raises(TypeError, match="no place"):
        Schemas([complex])


class Same(msgspec.Struct):
    inner: Same | None = None
    raw: msgspec.Raw = msgspec.Raw(b"null")


def test_types_that_hold_themselves_or_raw_json_have_schemas() -> None:
    found = Schemas([Same, dict[str, tuple[int, str]]])
    assert found.components["Same"]["properties"] == {
        "inner": {"anyOf": [{"$ref": "#/components/schemas/Same"}, {"type": "null"}]},
        "raw": {},
    }
    pair = {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "minItems": 2, "maxItems": 2}
    assert found.of(dict[str, tuple[int, str]]) == {"type": "object", "additionalProperties": pair}
