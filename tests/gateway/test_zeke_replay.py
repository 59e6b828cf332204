"""A replay, not Zeke itself: the requests that Zeke's programs have been seen to send, byte for byte, and a decoder
that fails on any key which Zeke's does not know.

Bodies, headers and reply schemas were taken from Zeke v0.2.10 (Zig's std.http, a connection for each call) and from its
Rust version.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, TypeVar

import msgspec
import pytest
from gateway_harness import Gateway, gateway
from routing_harness import USAGE, upstream

from ghostd.models import ModelInfo
from ghostd.testing.gateway import MAX_EVENT_BYTES, Served
from ghostd.testing.scripted import Step
from ghostd.types import Delta, TokenLogprob, Usage

T = TypeVar("T")

ZIG = b"user-agent: zig/0.16.0-dev.164+bc7955306 (std.http)\r\naccept-encoding: gzip, deflate\r\nconnection: close\r\n"
RUST = b"accept: */*\r\nx-client: zeke\r\naccept-encoding: gzip, deflate\r\nconnection: close\r\n"
NO_KEY = b""
SPOILT_KEY = b"authorization: " + b"\xaa" * 16 + b"\r\n"
"""What its documented build sends where a key is set."""

SAID = 'I am "here"\né😀'


# --- the closed schema -----------------------------------------------------------------------


class Closed(msgspec.Struct, forbid_unknown_fields=True):
    """Any other key fails."""


class ChatMessage(Closed):
    role: str
    content: str


class ChatChoice(Closed):
    index: int
    message: ChatMessage
    finish_reason: str


class ChatUsage(Closed):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class RoutingMetadata(Closed):
    provider: str
    model_used: str
    latency_ms: int
    was_cached: bool | None = None
    cost_usd: float | None = None
    routing_reason: str | None = None


class ChatReply(Closed):
    id: str
    object: str
    created: int
    model: str
    choices: list[ChatChoice]
    usage: ChatUsage | None = None
    routing_metadata: RoutingMetadata | None = None


class Details(Closed):
    parent_model: str
    format: str
    family: str
    families: list[str]
    parameter_size: str
    quantization_level: str


class Tag(Closed):
    name: str
    model: str
    modified_at: str
    size: int
    digest: str
    details: Details


class Tags(Closed):
    models: list[Tag]


class Generated(Closed):
    model: str
    created_at: str
    response: str
    done: bool
    context: list[int] | None = None
    total_duration: int | None = None
    load_duration: int | None = None
    prompt_eval_count: int | None = None
    eval_count: int | None = None
    eval_duration: int | None = None


class Chatted(Closed):
    model: str
    created_at: str
    message: ChatMessage
    done: bool
    total_duration: int | None = None
    load_duration: int | None = None
    prompt_eval_count: int | None = None
    eval_count: int | None = None
    eval_duration: int | None = None


def closed(body: bytes, kind: type[T]) -> T:
    assert b"null" not in body
    return msgspec.json.decode(body, type=kind, strict=True)


# --- the wire ----------------------------------------------------------------------------------


class Reply:
    """One reply, as a client without a library reads it."""

    def __init__(self, data: bytes) -> None:
        head, _, self.body = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(first.split()[1])
        self.headers = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines)}
        assert "content-encoding" not in self.headers, "a deflate reply crashes Zeke"
        if self.headers.get("transfer-encoding") == "chunked":
            self.body = _unchunked(self.body)


def _unchunked(data: bytes) -> bytes:
    body = b""
    while True:
        size, _, data = data.partition(b"\r\n")
        count = int(size, 16)
        if not count:
            assert data == b"\r\n"
            return body
        body += data[:count]
        assert data[count : count + 2] == b"\r\n"
        data = data[count + 2 :]


async def call(
    served: Served, method: str, target: str, body: str | None = None, headers: bytes = ZIG, *, slowly: bool = False
) -> Reply:
    """One call on a connection of its own, which ghostd closes after its reply."""
    data = f"{method} {target} HTTP/1.1\r\nhost: localhost:{served.port}\r\n".encode() + headers
    if body is not None:
        content = body.encode()
        data += b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(content) + content
    else:
        data += b"\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    try:
        async with asyncio.timeout(20):
            for piece in [data[i : i + 1] for i in range(len(data))] if slowly else [data]:
                writer.write(piece)
                await writer.drain()
            return Reply(await reader.read())
    finally:
        writer.close()


# --- the world: an OpenAI service that says more than Zeke can read ------------------------------


def talkative() -> list[Step]:
    """Thoughts, probabilities and details of the usage, none of which Zeke knows."""
    token = TokenLogprob(1, b"I", -0.1, ((b"I", -0.1),))
    usage = Usage(10, 4, cached_tokens=3, reasoning_tokens=2)
    return [
        Delta(reasoning="Who am I? "),
        Delta(SAID[:5], logprobs=(token,)),
        Delta(SAID[5:]),
        Delta(finish_reason="stop", usage=usage),
    ]


SETTINGS = """
routing.unknown_model = "fallback"
routes.m1.deployments = ["a/m"]
providers.a.model.m.price = { input = 2, output = 8 }
"""


@pytest.fixture
async def world() -> AsyncIterator[Gateway]:
    info = ModelInfo(
        "m",
        "a",
        frozenset(("chat", "complete")),
        relays=frozenset(("openai.chat", "ollama.chat", "ollama.generate")),
        size_bytes=4_000_000,
        created=1_750_000_000,
    )
    async with gateway(SETTINGS, upstream("a", talkative(), info=info)) as made:
        yield made
        made.world.calls = len(made.world.ledger.rows)


# --- Ollama's calls ------------------------------------------------------------------------------

GENERATE = (
    r"""{"model":"m1:latest","prompt":"Reply with just 'OK'","stream":false,"system":null,"options":null}""",
    (
        r'{"model":"deepseek-coder:33b","prompt":"say ok",'
        r'"stream":false,"system":null,'
        r'"options":{"temperature":null,"top_p":null,"top_k":null}}'
    ),
    (
        r'{"model":"m1","prompt":"say ok",'
        r'"stream":false,"system":null,'
        r'"options":{"temperature":0.20000000298023224,"top_p":null,"top_k":null}}'
    ),
)
OLLAMA_CHAT = (
    r"""{"model":"m1","messages":[{"role":"user","content":"hi \"q\"\nline2"}],"stream":false,"options":null}"""
)


@pytest.mark.parametrize("key", [NO_KEY, SPOILT_KEY])
@pytest.mark.parametrize("body", GENERATE)
async def test_generate(world: Gateway, body: str, key: bytes) -> None:
    reply = await call(world.served, "POST", "/api/generate", body, ZIG + key)
    assert reply.status == 200
    found = closed(reply.body, Generated)
    assert (found.response, found.done) == (SAID, True)
    assert (found.prompt_eval_count, found.eval_count) == (10, 4)


@pytest.mark.parametrize("key", [NO_KEY, SPOILT_KEY])
async def test_chat_of_ollama(world: Gateway, key: bytes) -> None:
    reply = await call(world.served, "POST", "/api/chat", OLLAMA_CHAT, ZIG + key)
    assert reply.status == 200
    found = closed(reply.body, Chatted)
    assert (found.message, found.done) == (ChatMessage("assistant", SAID), True)
    (request,) = [asked for asked in world.world.endpoints[0].asked]  # noqa: C416
    assert request.messages[0].text == 'hi "q"\nline2'  # type: ignore[union-attr]


async def test_tags_and_version(world: Gateway) -> None:
    found = closed((await call(world.served, "GET", "/api/tags")).body, Tags)
    names = {tag.name: tag for tag in found.models}
    assert {"m1", "a/m", "auto", "smart"} <= names.keys()
    assert (names["a/m"].size, names["a/m"].modified_at[:10]) == (4_000_000, "2025-06-15")
    version = await call(world.served, "GET", "/api/version")
    assert list(json.loads(version.body)) == ["version"]


async def test_other_clients_keep_what_zeke_cannot_read(world: Gateway) -> None:
    body = OLLAMA_CHAT.replace('"m1"', '"a/m"')
    others = b"user-agent: ollama-python/0.6.3\r\nconnection: close\r\n"
    world.world.endpoints[0]._info = ModelInfo("m", "a", frozenset(("chat",)))
    reply = json.loads((await call(world.served, "POST", "/api/chat", body, others)).body)
    assert (reply["done_reason"], reply["message"]["thinking"]) == ("stop", "Who am I? ")
    assert "prompt_eval_duration" in reply
    zeke = await call(world.served, "POST", "/api/chat", body, others + b"x-client: zeke\r\n")
    closed(zeke.body, Chatted)


# --- OpenAI's calls ------------------------------------------------------------------------------

CHAT = (
    (
        r'{"model":"auto","messages":[{"role":"user","content":"design it"}],"temperature":null,"max_tokens":null,'
        r'"stream":false,'
        r'"tags":{"intent":"architecture","source":"zeke","language":null,"complexity":null,'
        r'"project":null,"priority":null}}'
    ),
    (
        r'{"model":"smart","messages":[{"role":"user","content":"code it"}],"temperature":0.699999988079071,'
        r'"max_tokens":4096,"stream":false,'
        r'"tags":{"intent":"code","source":"zeke","language":"zig","complexity":"complex",'
        r'"project":"my-app","priority":"low-latency"}}'
    ),
    (
        r'{"model":"ghostllm-default","messages":[{"role":"user","content":"hi"}],"temperature":0.7,"max_tokens":150,'
        r'"stream":false}'
    ),
)


@pytest.mark.parametrize("target", ["/v1/chat/completions", "/v1/v1/chat/completions", "/v1/../v1/chat/completions"])
@pytest.mark.parametrize("headers", [ZIG, ZIG + SPOILT_KEY, RUST])
@pytest.mark.parametrize("body", CHAT)
async def test_chat_of_openai(world: Gateway, body: str, headers: bytes, target: str) -> None:
    reply = await call(world.served, "POST", target, body, headers)
    assert reply.status == 200
    found = closed(reply.body, ChatReply)
    (choice,) = found.choices
    assert (choice.message, choice.finish_reason) == (ChatMessage("assistant", SAID), "stop")
    assert found.usage == ChatUsage(10, 4, 14)
    assert (found.routing_metadata is not None) is ("tags" in body)
    if found.routing_metadata is not None:
        assert (found.routing_metadata.provider, found.routing_metadata.model_used) == ("a", "a/m")
        assert found.routing_metadata.cost_usd == pytest.approx(52e-6)
        assert found.routing_metadata.routing_reason


async def test_what_the_tags_say_reaches_the_ledger(world: Gateway) -> None:
    await call(world.served, "POST", "/v1/chat/completions", CHAT[1])
    row = world.world.row
    assert (row.client, row.project) == ("zeke", "my-app")
    features = json.loads(row.features)
    assert (features["intent"], features["language"], features["complexity"]) == ("code", "zig", "complex")
    assert features["urgent"] is True


async def test_hints_may_come_as_headers(world: Gateway) -> None:
    hints = (
        b"x-client: zeke\r\nx-project: my-app\r\nx-intent: code\r\nx-latency: low\r\nx-budget: 0.01\r\n"
        b"x-size-hint: large\r\n"
    )
    reply = await call(world.served, "POST", "/v1/chat/completions", CHAT[2], ZIG + hints)
    closed(reply.body, ChatReply)
    row = world.world.row
    features = json.loads(row.features)
    assert (row.client, row.project, features["intent"]) == ("zeke", "my-app", "code")
    assert (features["urgent"], features["thrifty"], features["complexity"]) == (True, True, "complex")


@pytest.mark.parametrize("target", ["/v1/../health", "/health", "/v1/health", "/v1/./../health", "/a/b/../../health"])
@pytest.mark.parametrize("headers", [ZIG, ZIG + SPOILT_KEY, RUST])
async def test_health_is_found_by_literal_dots(world: Gateway, target: str, headers: bytes) -> None:
    reply = await call(world.served, "GET", target, None, headers)
    assert reply.status == 200
    assert b'"status":"ok"' in reply.body


@pytest.mark.parametrize("body", CHAT)
async def test_a_stream_is_read_event_by_event(world: Gateway, body: str) -> None:
    """Zeke splits on a blank line, wants `data: ` with a space, and reads `choices[0].delta.content`."""
    long = 'é"\\\n' * 5_000
    world.world.endpoints[0].scripts = [
        [Delta(reasoning="hm" * 9_000), Delta(long), Delta(finish_reason="stop", usage=USAGE)]
    ]
    reply = await call(world.served, "POST", "/v1/chat/completions", body.replace('"stream":false', '"stream":true'))
    assert (reply.status, reply.headers["content-type"]) == (200, "text/event-stream")
    *events, last, end = reply.body.split(b"\n\n")
    assert (last, end) == (b"data: [DONE]", b"")
    text = ""
    for event in events:
        assert len(event) + 2 <= MAX_EVENT_BYTES
        assert event.startswith(b"data: {")
        delta = json.loads(event.removeprefix(b"data: "))["choices"][0]["delta"]
        assert delta.get("content", "") is not None
        text += delta.get("content", "")
    assert text == long


async def test_a_request_may_come_one_byte_at_a_time(world: Gateway) -> None:
    reply = await call(world.served, "POST", "/v1/chat/completions", CHAT[0], ZIG + SPOILT_KEY, slowly=True)
    closed(reply.body, ChatReply)
    reply = await call(world.served, "POST", "/api/generate", GENERATE[0], ZIG, slowly=True)
    closed(reply.body, Generated)


# --- what goes wrong -----------------------------------------------------------------------------


async def test_a_model_that_the_machine_has_not_is_an_error_unless_the_setting_says_otherwise() -> None:
    async with gateway('routes.m1.deployments = ["a/m"]', upstream("a", talkative(), relays=())) as g:
        openai = await call(g.served, "POST", "/v1/chat/completions", CHAT[2])
        assert (openai.status, json.loads(openai.body)["error"]["code"]) == (404, "model_not_found")
        own = await call(g.served, "POST", "/api/generate", GENERATE[1])
        assert own.status == 404
        assert json.loads(own.body)["error"].startswith("model 'deepseek-coder:33b' not found")
        g.world.calls = 2


@pytest.mark.parametrize("headers", [ZIG + SPOILT_KEY, ZIG + b"x-project: \xaa\xaa\r\nx-client: \xff\r\n"])
async def test_bytes_that_are_no_text_break_nothing(world: Gateway, headers: bytes) -> None:
    for target, body in (("/v1/chat/completions", CHAT[0]), ("/api/chat", OLLAMA_CHAT)):
        assert (await call(world.served, "POST", target, body, headers)).status == 200
    assert (await call(world.served, "GET", "/api/tags", None, headers)).status == 200


def _check_the_decoder() -> dict[str, Any]:
    return {"model": "m", "created_at": "x", "response": "r", "done": True}


@pytest.mark.parametrize("extra", ["done_reason", "prompt_eval_duration", "thinking", "logprobs", "anything"])
def test_the_decoder_fails_on_any_other_key(extra: str) -> None:
    closed(json.dumps(_check_the_decoder()).encode(), Generated)
    with pytest.raises(msgspec.ValidationError, match=extra):
        closed(json.dumps({**_check_the_decoder(), extra: "x"}).encode(), Generated)
