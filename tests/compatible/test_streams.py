"""Streams of chats keep OpenAI's rules before each kind of service, whatever is asked for."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest
from obedient.places import KINDS, Place, place

_TOOL = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}
_CLOCK = {"type": "function", "function": {"name": "clock", "parameters": {"type": "object", "properties": {}}}}
_SHELL = {"type": "custom", "custom": {"name": "shell"}}
_SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "integer"}}}
_SAID = "héllo 日本語 😀🏳️‍🌈 \u2028 «x» \\n"

ASKED: dict[str, tuple[str, dict[str, Any]]] = {
    "a text": (f"Say exactly: {_SAID}", {}),
    "several choices": ("hi", {"n": 3}),
    "a cut text": ("Write a long essay about the sea.", {"max_tokens": 2}),
    "a stop": ("Say exactly: alpha beta gamma", {"stop": ["beta"]}),
    "a call": ("What is the weather in Paris?", {"tools": [_TOOL]}),
    "two calls": ("weather and clock!", {"tools": [_TOOL, _CLOCK], "tool_choice": "required"}),
    "a call of a custom tool": ("Use the shell: «ls -l»", {"tools": [_SHELL, _CLOCK], "tool_choice": "required"}),
    "a schema": (
        "Invent something.",
        {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": _SCHEMA}}},
    ),
    "thoughts": ("Say exactly: yes", {"reasoning_effort": "high", "max_tokens": 30_000}),
}


async def events(there: Place, client: aiohttp.ClientSession, prompt: str, fields: dict[str, Any]) -> list[Any]:
    """The stream's chunks; its framing is checked on the way."""
    body = {"model": there.chat_model, "messages": [{"role": "user", "content": prompt}], "stream": True, **fields}
    async with client.post(f"{there.base_url}/chat/completions", json=body) as reply:
        raw = await reply.read()
        assert (reply.status, reply.content_type) == (200, "text/event-stream"), raw
        assert reply.headers["x-request-id"]
        assert reply.headers["openai-processing-ms"].isdecimal()
    assert raw.endswith(b"data: [DONE]\n\n")
    found = []
    for event in raw.removesuffix(b"data: [DONE]\n\n").split(b"\n\n")[:-1]:
        if event.startswith(b":"):
            continue
        text = event.decode("utf-8")  # no event ends within a character
        assert text.startswith("data: {")
        found.append(json.loads(text.removeprefix("data: ")))
    return found


def check(chunks: list[Any], *, usage: bool, choices: int) -> list[dict[str, Any]]:
    """What each choice says, once the rules have been seen to."""
    assert len({(chunk["id"], chunk["created"], chunk["model"], chunk["object"]) for chunk in chunks}) == 1
    assert chunks[0]["object"] == "chat.completion.chunk"
    if usage:
        last = chunks.pop()
        assert last["choices"] == []
        assert last["usage"]["total_tokens"] == last["usage"]["prompt_tokens"] + last["usage"]["completion_tokens"]
    assert all(chunk["choices"] for chunk in chunks), "an empty list of choices"
    assert not any(chunk.get("usage") for chunk in chunks)
    found: list[dict[str, Any]] = [{"text": "", "calls": {}, "finish": None} for _ in range(choices)]
    opened: set[int] = set()
    for choice in (choice for chunk in chunks for choice in chunk["choices"]):
        kept, delta = found[choice["index"]], choice["delta"]
        assert kept["finish"] is None, "something after the finish"
        assert (delta.get("role") == "assistant") is (choice["index"] not in opened)
        opened.add(choice["index"])
        kept["text"] += delta.get("content") or ""
        for piece in delta.get("tool_calls") or ():
            inner = piece.get("function") or piece.get("custom") or {}
            call = kept["calls"].setdefault(piece["index"], {"id": [], "name": [], "said": ""})
            call["id"] += [piece["id"]] if piece.get("id") else []
            call["name"] += [inner["name"]] if inner.get("name") else []
            call["said"] += inner.get("arguments", "") + inner.get("input", "")
        kept["finish"] = choice["finish_reason"]
    for kept in found:
        assert kept["finish"] is not None
        assert all(len(call["id"]) == len(call["name"]) == 1 for call in kept["calls"].values())
    return found


async def test_what_best_of_needs_is_asked_of_best_of() -> None:
    """A service that tells no log probabilities is never asked for what the caller has not asked for."""
    async with (
        place("anthropic") as there,
        aiohttp.ClientSession() as client,
        client.post(
            f"{there.base_url}/completions", json={"model": there.chat_model, "prompt": "a", "best_of": 2}
        ) as reply,
    ):
        assert (reply.status, (await reply.json())["error"]["param"]) == (400, "best_of")
    assert there.upstream.requests == []


@pytest.mark.parametrize("usage", [False, True])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_stream_keeps_the_rules(kind: str, usage: bool) -> None:
    told = {}
    async with place(kind) as there, aiohttp.ClientSession() as client:
        for name, (prompt, fields) in ASKED.items():
            more = {"stream_options": {"include_usage": True}} if usage else {}
            chunks = await events(there, client, prompt, fields | more)
            told[name] = check(chunks, usage=usage, choices=fields.get("n", 1))
    assert told["a text"][0]["text"] == _SAID
    assert len({choice["text"] for choice in told["several choices"]}) == 1
    assert told["a cut text"][0]["finish"] == "length"
    assert (told["a stop"][0]["text"].strip(), told["a stop"][0]["finish"]) == ("alpha", "stop")
    (call,) = told["a call"][0]["calls"].values()
    assert (call["name"], json.loads(call["said"])) == (["weather"], {"city": "Paris"})
    assert [call["name"] for call in told["two calls"][0]["calls"].values()] == [["weather"], ["clock"]]
    assert told["two calls"][0]["finish"] == "tool_calls"
    assert told["a call of a custom tool"][0]["calls"][0]["name"] == ["shell"]
    assert json.loads(told["a schema"][0]["text"]).keys() == {"a", "b"}
    assert told["thoughts"][0]["text"].strip() == "yes"
