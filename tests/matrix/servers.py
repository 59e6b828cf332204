"""The services of the matrix: how each speaks, and what it was asked, read back out of its own words."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from matrix.responses_script import responses_stream, responses_whole
from matrix.scenes import Ask, PastCall
from providers.anthropic_dialect import AnthropicDialect
from providers.gemini_dialect import GeminiDialect
from providers.ollama_dialect import OllamaDialect
from providers.openai_dialect import LlamaServerDialect, MistralDialect, OpenAIDialect

from ghostd.config.responses import ResponsesConfig
from ghostd.config.settings import Config
from ghostd.engine import Engine
from ghostd.gateway.dialects.responses.doors import responses_doors
from ghostd.providers import presets
from ghostd.responses.service import open_responses
from ghostd.routing.registry import Registry
from ghostd.testing.gateway import Served, serving
from ghostd.testing.memory_ledger import MemoryLedger
from ghostd.testing.scripted_upstream import (
    Answer,
    ScriptedUpstream,
    Seen,
    json_answer,
    ndjson_answer,
    scripted_upstream,
)
from ghostd.testing.upstream_dialect import PROVIDER, Reply, UpstreamDialect, opened
from ghostd.types import Operation


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of service."""

    name: str
    dialect: Callable[[], UpstreamDialect]
    read: Callable[[Seen], Ask]
    """What a request for a conversation asks."""
    relays: frozenset[Operation] = field(default_factory=frozenset)
    """Operations that reach it as the client sent them."""

    def __str__(self) -> str:
        return self.name


@dataclass(slots=True)
class Place:
    """A gateway before one scripted service."""

    kind: Kind
    dialect: UpstreamDialect
    upstream: ScriptedUpstream
    served: Served
    ledger: MemoryLedger
    model: str
    """What clients call the service's model."""

    def answers(self, reply: Reply) -> None:
        """From now on the service says this."""
        self.upstream.serve = lambda seen: spoken(self.dialect, seen, reply)

    @property
    def asked(self) -> Ask:
        """The last request that the service got."""
        seen = self.upstream.requests[-1]
        return _responses_ask(seen) if seen.path.endswith("/responses") else self.kind.read(seen)


def spoken(dialect: UpstreamDialect, seen: Seen, reply: Reply) -> Answer:
    """The dialect's answer to a request, streamed or whole as it asks."""
    if seen.path.endswith("/responses"):
        return responses_stream(reply) if seen.json.get("stream") else responses_whole(reply)
    call = dialect.call(seen)
    if call == "models":
        return dialect.models(dialect.names())
    if call == "chat":
        return dialect.chat(reply) if _streams(seen) else dialect.whole_chat(reply)
    if call == "complete" and seen.path.endswith("/api/generate"):
        return _generated(dialect.complete(reply), reply, stream=_streams(seen))
    if call == "fill":
        return dialect.fill(reply)
    return dialect.complete(reply) if call == "complete" else dialect.serve(seen)


def _streams(seen: Seen) -> bool:
    """Whether a stream is asked for: by the path, or in the body; Ollama streams where nothing is said."""
    if "stream" in seen.path:
        return True
    return bool(seen.body.startswith(b"{") and seen.json.get("stream", "/api/" in seen.path))


def _generated(answer: Answer, reply: Reply, *, stream: bool) -> Answer:
    """Ollama's reply to a single prompt, with the model's thoughts."""
    lines = [json.loads(piece) for piece in answer.pieces]
    thoughts = [{**lines[0], "response": "", "thinking": text} for text in reply.reasoning]
    if stream:
        return ndjson_answer([*thoughts, *lines])
    whole = {**lines[-1], "response": "".join(reply.text)}
    return json_answer(whole | ({"thinking": "".join(reply.reasoning)} if reply.reasoning else {}))


@asynccontextmanager
async def place(kind: Kind, folder: Path) -> AsyncIterator[Place]:
    """A gateway with this service alone, over real sockets on both sides."""
    dialect = kind.dialect()
    async with scripted_upstream() as upstream, opened(dialect, upstream) as provider:
        settings = {"providers": {PROVIDER: {"preset": "openai-compatible", "base_urls": [provider.endpoint]}}}
        ledger, stored = MemoryLedger(), ResponsesConfig()
        registry = Registry(msgspec.convert(settings, Config), (), {PROVIDER: (provider,)})
        engine = Engine(registry=registry, ledger=ledger)
        try:
            async with (
                open_responses(folder / "responses.sqlite3", stored) as store,
                responses_doors(engine, store, stored) as doors,
                serving(engine=engine, doors=doors) as served,
            ):
                yield Place(kind, dialect, upstream, served, ledger, f"{PROVIDER}/{dialect.chat_model}")
        finally:
            await engine.router.close()


# --- what was asked -----------------------------------------------------------------


def _openai_ask(seen: Seen) -> Ask:
    body = seen.json
    messages = body["messages"]
    calls = [call for message in messages for call in message.get("tool_calls") or ()]
    results = {m["tool_call_id"]: _text(m["content"]) for m in messages if m["role"] == "tool"}
    parts = [part for m in messages if isinstance(m["content"], list) for part in m["content"]]
    urls = [_url(part["image_url"]) for part in parts if part["type"] == "image_url"]
    stop = body.get("stop") or ()
    return Ask(
        prompt=_text(next(m for m in messages if m["role"] == "user")["content"]),
        system="".join(_text(m["content"]) for m in messages if m["role"] in ("system", "developer")),
        image=urls[0].partition("base64,")[2] if urls else "",
        tools=tuple(tool["function"]["name"] for tool in body.get("tools") or ()),
        past=tuple(
            PastCall(
                call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]), results[call["id"]]
            )
            for call in calls
        ),
        schema="schema" in (body.get("response_format") or {}).get("json_schema", {}),
        stop=(stop,) if isinstance(stop, str) else tuple(stop),
        max_tokens=body.get("max_completion_tokens") or body.get("max_tokens"),
    )


def _url(given: Any) -> str:
    return str(given["url"] if isinstance(given, dict) else given)


def _text(content: Any) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    return "\n".join(part["text"] for part in content if "text" in part)


def _anthropic_ask(seen: Seen) -> Ask:
    body = seen.json
    blocks = [
        block
        for message in body["messages"]
        for block in (
            message["content"]
            if isinstance(message["content"], list)
            else [{"type": "text", "text": message["content"]}]
        )
    ]
    results = {b["tool_use_id"]: _text(b.get("content")) for b in blocks if b["type"] == "tool_result"}
    images = [b["source"]["data"] for b in blocks if b["type"] == "image"]
    formats = (body.get("output_config") or {}).get("format") or body.get("output_format") or {}
    return Ask(
        prompt=next(b["text"] for b in blocks if b["type"] == "text"),
        system=_text(body.get("system")),
        image=images[0] if images else "",
        tools=tuple(tool["name"] for tool in body.get("tools") or ()),
        past=tuple(
            PastCall(b["id"], b["name"], b["input"], results[b["id"]]) for b in blocks if b["type"] == "tool_use"
        ),
        schema="schema" in formats,
        stop=tuple(body.get("stop_sequences") or ()),
        max_tokens=body["max_tokens"],
    )


def _gemini_ask(seen: Seen) -> Ask:
    body = seen.json
    parts = [part for content in body["contents"] for part in content["parts"]]
    results = [part["functionResponse"] for part in parts if "functionResponse" in part]
    said = {found.get("id") or found["name"]: found["response"]["output"] for found in results}
    images = [part["inlineData"]["data"] for part in parts if "inlineData" in part]
    config = body.get("generationConfig") or {}
    tools = [one["name"] for tool in body.get("tools") or () for one in tool["functionDeclarations"]]
    calls = [part["functionCall"] for part in parts if "functionCall" in part]
    return Ask(
        prompt=next(part["text"] for part in parts if "text" in part),
        system="".join(part["text"] for part in (body.get("systemInstruction") or {"parts": ()})["parts"]),
        image=images[0] if images else "",
        tools=tuple(tools),
        past=tuple(PastCall(c.get("id", ""), c["name"], c["args"], said[c.get("id") or c["name"]]) for c in calls),
        schema="responseJsonSchema" in config,
        stop=tuple(config.get("stopSequences") or ()),
        max_tokens=config["maxOutputTokens"],
    )


def _ollama_ask(seen: Seen) -> Ask:
    body = seen.json
    if seen.path.endswith("/generate"):
        body = body | {
            "messages": [
                {"role": "system", "content": body.get("system", "")},
                {"role": "user", "content": body["prompt"], "images": body.get("images")},
            ]
        }
    messages = body["messages"]
    calls = [call for message in messages for call in message.get("tool_calls") or ()]
    results = [message["content"] for message in messages if message["role"] == "tool"]
    user = next(message for message in messages if message["role"] == "user")
    options = body.get("options") or {}
    return Ask(
        prompt=user["content"],
        system="".join(message["content"] for message in messages if message["role"] == "system"),
        image=(user.get("images") or [""])[0],
        tools=tuple(tool["function"]["name"] for tool in body.get("tools") or ()),
        past=tuple(
            PastCall(call.get("id", ""), call["function"]["name"], call["function"]["arguments"], result)
            for call, result in zip(calls, results, strict=True)
        ),
        schema=isinstance(body.get("format"), dict),
        stop=tuple(options.get("stop") or ()),
        max_tokens=options["num_predict"],
    )


def _responses_ask(seen: Seen) -> Ask:
    body = seen.json
    items = body["input"] if isinstance(body["input"], list) else [{"role": "user", "content": body["input"]}]
    messages = [item for item in items if item.get("type", "message") == "message"]
    results = {item["call_id"]: item["output"] for item in items if item.get("type") == "function_call_output"}
    user = next(message for message in messages if message["role"] == "user")
    parts = user["content"] if isinstance(user["content"], list) else []
    images = [part["image_url"].partition("base64,")[2] for part in parts if part["type"] == "input_image"]
    return Ask(
        prompt=_text(user["content"]),
        system=body.get("instructions") or "",
        image=images[0] if images else "",
        tools=tuple(tool["name"] for tool in body.get("tools") or ()),
        past=tuple(
            PastCall(item["call_id"], item["name"], json.loads(item["arguments"]), results[item["call_id"]])
            for item in items
            if item.get("type") == "function_call"
        ),
        schema=(body.get("text") or {}).get("format", {}).get("type") == "json_schema",
        max_tokens=body["max_output_tokens"],
    )


KINDS = (
    Kind(
        "openai",
        lambda: OpenAIDialect(presets.openai),
        _openai_ask,
        frozenset(("openai.chat", "openai.responses", "openai.completions")),
    ),
    Kind("openai-compatible", OpenAIDialect, _openai_ask, frozenset(("openai.chat", "openai.completions"))),
    Kind("mistral", MistralDialect, _openai_ask, frozenset(("openai.chat",))),
    Kind("llama-server", LlamaServerDialect, _openai_ask, frozenset(("openai.chat", "openai.completions"))),
    Kind("anthropic", AnthropicDialect, _anthropic_ask, frozenset(("anthropic.messages",))),
    Kind("gemini", GeminiDialect, _gemini_ask),
    Kind("ollama", OllamaDialect, _ollama_ask, frozenset(("ollama.chat", "ollama.generate"))),
)
